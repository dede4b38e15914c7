"""`feasible watch`: what is known of a running feature, now or at a past time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feasible.commands.console import (
    INFEASIBLE,
    NO_EVIDENCE,
    AsJson,
    FeatureName,
    console,
    open_feature,
    print_json,
    zoned_time,
)

__all__ = ["watch"]


def watch(
    feature: FeatureName,
    ledger: Annotated[
        str | None,
        typer.Option(
            help="Ledger URL, such as sqlite:///decisions.db; the feature's own when absent."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="As known at a past time with its zone, such as 2026-12-01T10:00:00Z."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with charts, which needs no network.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is known now or was at a time: promises, labels, estimates, alarms, upkeep."""
    from feasible import loop
    from feasible.report import watched_page, watched_parts

    when = None
    if at is not None:
        when = zoned_time(at, "as known when?", attempt="--at 2026-12-01T10:00:00Z")
    found = loop.watch(open_feature(feature), ledger_url=ledger, at=when)
    if html is not None:
        html.write_text(watched_page(found), encoding="utf-8")
    if as_json:
        print_json(found)
    else:
        screen = console()
        for part in watched_parts(found):
            screen.print(part)
    if any(row.holds is False for row in found.objectives):
        raise typer.Exit(INFEASIBLE)
    if any(row.holds is None for row in found.objectives):
        raise typer.Exit(NO_EVIDENCE)
