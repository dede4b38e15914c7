"""The whole loop on one screen, with real parts: training, HTTP, a ledger, labels and clocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress as Bars

from feasible import loop
from feasible.folder import Feature
from feasible.report import (
    brief_panel,
    certificate_table,
    comparison_table,
    headroom_table,
    infeasible_panel,
    plan_table,
    rows_line,
)
from feasible.schema import Example, HeadroomRow, PlanReport
from feasible.testing import Load, running_service, send_load
from feasible.units import format_ratio

__all__ = ["run_demo"]

_CLIENTS: Final = 32
_TIMES_THE_MEAN: Final = 2
"""How much more is asked than the brief declares on average."""
_AUDITED: Final = 0.5
"""Share of the decisions that get a label, drawn at random whatever was answered."""
_USUAL_REPEATS: Final = 0.4
_POPULAR: Final = 10
"""One question in so many is popular: repeats are drawn from these."""


def run_demo(feature: Feature, console: Console, *, n_requests: int) -> PlanReport:
    """Run brief, review, plan, load, labels and headroom, and print each as it happens.

    Args:
        feature: A reference system.
        console: Where to print.
        n_requests: Requests to send over HTTP. Count.

    Returns:
        The planner's answer. Without a plan nothing is served, and the panel says why.
    """
    name = feature.brief.name
    console.rule(f"[bold]1. what {name} promises, before any model is named")
    console.print(brief_panel(feature.brief))
    judged = loop.review(feature.found)
    high = sum(finding.risk == "HIGH" for finding in judged.findings)
    console.print(
        f"feasible review: {judged.score} of 100 by what a brief alone can show, "
        f"{len(judged.findings)} findings, {high} of them HIGH",
        highlight=False,
    )
    console.rule("[bold]2. the plan: every tier measured on labelled rows, then certified")
    report = _plan(feature, console)
    if report.plan is not None:
        _live(feature, console, n_requests)
    console.rule(f"[bold]{5 if report.plan else 3}. what to try next")
    for line in (
        f"feasible review {name}          the design by its brief, simulated",
        f"feasible plan {name} --json     the same plan as data",
        f"feasible serve {name}           then POST /v1/decide",
        "feasible new my-feature         a folder of your own, ready to plan",
    ):
        console.print(f"  {line}", highlight=False)
    return report


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
    if report.plan is not None or report.fallback_plan is not None:
        console.print(rows_line(report))
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


def _live(feature: Feature, console: Console, n_requests: int) -> None:
    """Serve the plan, ask it questions, label some of them, and show the headroom."""
    data = feature.dataset()
    rows = [row for row in data.examples if row.split != "train"]
    console.rule("[bold]3. real HTTP load on the served plan: bursts, repeated questions")
    ledger = feature.work / "demo-ledger.db"
    for stale in ledger.parent.glob(f"{ledger.name}*"):
        stale.unlink()
    url_of_ledger = f"sqlite:///{ledger.resolve()}"
    with running_service(feature.brief.name, ledger=url_of_ledger) as service:
        url = service.url
        console.print(f"serving on {url}, decisions in {ledger}", highlight=False, soft_wrap=True)
        questions = _questions(feature, len(rows), n_requests)
        rate = feature.brief.traffic.rate
        per_s = None if rate is None else _TIMES_THE_MEAN * rate.mid
        pace = "" if per_s is None else f", {per_s:,.0f} a second: twice the mean of the brief"
        console.print(
            f"{n_requests:,} questions from {_CLIENTS} clients, in bursts, drawn from the "
            f"{len(rows):,} test rows of {data.name}{pace}",
            highlight=False,
        )
        with _bar(console, "requests", n_requests) as step:
            asked = [dict(rows[position].request) for position in questions]
            load = asyncio.run(send_load(url, asked, clients=_CLIENTS, per_s=per_s, progress=step))
        _print_load(load, console)
        console.rule("[bold]4. labels come in, and each promise says how it stands")
        before = _headroom(url)
        labelled = _send_labels(url, rows, questions, load)
        time.sleep(1)  # a service computes the table once a second at most
        after = _headroom(url)
        console.print(
            f"{labelled:,} decisions labelled by an audit drawn at random; the labels are those of "
            f"{data.name}. Questions repeat here, so that the intervals are narrower than they "
            f"would be for as many different ones."
        )
    console.print(headroom_table(after))
    sayable = [sum(row.holds is not None for row in found) for found in (before, after)]
    console.print(
        f"promises that could be judged: {sayable[0]} before the labels, {sayable[1]} with them"
    )


def _questions(feature: Feature, n_rows: int, n_requests: int) -> list[int]:
    """Draw row positions: fresh rows in random order, popular ones repeated as the brief says."""
    rng = np.random.default_rng(0)
    repeated = feature.brief.traffic.repeated
    share = _USUAL_REPEATS if repeated is None else repeated.mid
    popular = rng.permutation(n_rows)[: max(1, n_rows // _POPULAR)]
    weights = 1.0 / np.arange(1, len(popular) + 1)  # Zipf
    again = rng.choice(popular, size=n_requests, p=weights / weights.sum())
    fresh = np.resize(rng.permutation(n_rows), n_requests)
    return [int(x) for x in np.where(rng.random(n_requests) < share, again, fresh)]


def _print_load(load: Load, console: Console) -> None:
    answered = len(load.latencies_ms)
    console.print(
        f"{answered:,} answered, {load.errors:,} without an answer, "
        f"{answered / load.wall_s:,.0f} a second; seen by the clients: "
        f"p50 {load.percentile_ms(0.5):.1f} ms, p95 {load.percentile_ms(0.95):.1f} ms, "
        f"p99 {load.percentile_ms(0.99):.1f} ms"
    )
    share = ", ".join(
        f"{tier} {format_ratio(count / answered)}"
        for tier, count in sorted(load.tiers.items(), key=lambda item: -item[1])
    )
    console.print(f"answered by: {share}")


def _send_labels(url: str, rows: Sequence[Example], questions: Sequence[int], load: Load) -> int:
    """Label a random sample of the decisions with the rows' own labels, as an auditor would."""
    rng = np.random.default_rng(2)
    ids = sorted(load.decisions)
    chosen = rng.permutation(len(ids))[: int(_AUDITED * len(ids))]
    now = datetime.now(UTC).isoformat()
    labels = [
        {
            "decision_id": ids[int(i)],
            "value": rows[questions[load.decisions[ids[int(i)]]]].label,
            "source": "human",
            "selection": "audit",
            "known_at": now,
        }
        for i in chosen
    ]
    reply = httpx.post(f"{url}/v1/labels", json={"labels": labels}, timeout=60)
    reply.raise_for_status()
    return len(labels)


def _headroom(url: str) -> list[HeadroomRow]:
    reply = httpx.get(f"{url}/v1/headroom", timeout=30)
    reply.raise_for_status()
    return msgspec.convert(reply.json()["objectives"], list[HeadroomRow])


@contextmanager
def _bar(console: Console, stage: str, total: int) -> Iterator[Callable[[int], None]]:
    with Bars(console=console, transient=True) as bars:
        task = bars.add_task(stage, total=total)
        yield lambda done: bars.update(task, completed=done)
