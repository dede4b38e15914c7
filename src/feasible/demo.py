"""The main job on one screen, with real parts: real training, real timings, a real certificate."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bars

from feasible import loop
from feasible.folder import Feature
from feasible.report import (
    brief_panel,
    certificate_table,
    comparison_table,
    infeasible_panel,
    plan_table,
)
from feasible.schema import PlanReport

__all__ = ["run_demo"]


def run_demo(feature: Feature, console: Console) -> None:
    """Show a brief, plan it, and show the certificate beside what a team would otherwise do."""
    name = feature.brief.name
    console.rule(f"[bold]1. what {name} promises, before any model is named")
    console.print(brief_panel(feature.brief))
    console.rule("[bold]2. the plan: every tier measured on labelled rows, then certified")
    report = _plan(feature, console)
    console.rule("[bold]3. what to try next")
    for line in (
        f"feasible plan {name} --json     the same plan as data",
        "feasible new my-feature         a folder of your own, ready to plan",
    ):
        console.print(f"  {line}", highlight=False)
    if not report.feasible:
        console.print("not every promise can be shown yet: the panel above says what is missing")


def _plan(feature: Feature, console: Console) -> PlanReport:
    started = time.monotonic()
    with Bars(console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        report = loop.plan(feature, progress=progress)
    console.print(f"planned in {time.monotonic() - started:.0f} s")
    made = report.plan or report.fallback_plan
    if made is not None:
        data = made.data
        kind = "synthetic, written by this project" if data.synthetic else "collected"
        console.print(
            f"rows: {data.name} ({kind}): {data.n_fit:,} to fit, {data.n_search:,} to search, "
            f"{data.n_cert:,} to certify"
        )
        console.print(plan_table(report))
        console.print(certificate_table(report.certificate))
        console.print(comparison_table(report))
    if report.infeasible is not None:
        console.print(infeasible_panel(report))
    for left in report.left_out:
        console.print(f"left out: {left.tier}: {left.because}", highlight=False)
    for note in report.notes:
        console.print(f"note: {note}", highlight=False)
    return report
