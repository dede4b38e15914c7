"""`feasible simulate`: what breaks first, before it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feasible.commands.console import (
    INFEASIBLE,
    AsJson,
    FeatureName,
    Quiet,
    console,
    open_feature,
    print_json,
    progress_bars,
)
from feasible.errors import BadInput

__all__ = ["simulate"]


def simulate(
    feature: FeatureName,
    scenario: Annotated[
        str,
        typer.Option(
            help="breakpoint, spike, soak, outage, demand-shift, stale, labels-late, budget, "
            "retry-storm, or a file such as storm.yaml."
        ),
    ] = "breakpoint",
    knobs: Annotated[
        list[str] | None,
        typer.Option("--set", help="Turn a knob, for example --set llm.usd=$0.006; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Makes every random choice repeatable.", min=0)] = 0,
    as_json: AsJson = False,
    page: Annotated[
        Path | None, typer.Option("--html", help="Also write the report as an HTML page here.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Hold the prediction against the service of this plan at http://127.0.0.1:PORT."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Say what breaks first under load and faults, before it does; nothing real is called."""
    from feasible import loop
    from feasible.report import simulated_page, simulated_parts

    turned = dict(_knob(text) for text in knobs or ())
    if page is not None and not (page.parent.is_dir() and not page.is_dir()):
        raise BadInput(
            f"no page can be written to {page}",
            asked=f"--html {page}",
            found="a folder" if page.is_dir() else f"no folder {page.parent}",
            attempt="--html report.html",
        )
    if against is not None:
        if page is not None or scenario != "breakpoint":
            raise BadInput(
                "the real service is held against loads below the first break, and printed",
                asked="--against with " + ("--scenario" if page is None else "--html"),
                found="what it compares is no other scenario, and no page",
                attempt=f"feasible simulate {feature} --against {against}",
            )
        _compare(feature, against, turned, seed=seed, as_json=as_json, quiet=quiet)
        return
    with progress_bars(enabled=not quiet) as progress:
        found = loop.simulate(
            open_feature(feature), scenario=scenario, knobs=turned, seed=seed, progress=progress
        )
    if page is not None:
        page.write_text(simulated_page(found), encoding="utf-8")
    if as_json:
        print_json(found)
    else:
        screen = console()
        for part in simulated_parts(found):
            screen.print(part)
    if any(line.verdict == "broken" for line in found.order):
        raise typer.Exit(INFEASIBLE)


def _compare(
    feature: str, url: str, knobs: dict[str, str], *, seed: int, as_json: bool, quiet: bool
) -> None:
    """Predict, measure, and print both."""
    from feasible import loop
    from feasible.report import comparison_of_loads

    with progress_bars(enabled=not quiet) as progress:
        found = loop.simulate_against(
            open_feature(feature), url, knobs=knobs, seed=seed, progress=progress
        )
    if as_json:
        print_json(found)
    else:
        console().print(comparison_of_loads(found))


def _knob(text: str) -> tuple[str, str]:
    """Read `knob=value`."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise BadInput(
            "a knob is turned by its name and a value",
            asked=f"--set {text}",
            found="no value" if name else "no name",
            attempt="--set cache.hit=50% or --set llm.usd=$0.006",
        )
    return name.strip(), value.strip()
