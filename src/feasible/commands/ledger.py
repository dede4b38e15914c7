"""`feasible ledger`: verify, count, export, query and purge what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feasible.commands.console import INFEASIBLE, AsJson, print_json
from feasible.errors import BadInput

if TYPE_CHECKING:
    from feasible.ledger import LedgerStats, Percentiles, SqliteLedger

__all__ = ["ledger_app"]

ledger_app = typer.Typer(no_args_is_help=True, help="What happened: the decisions' ledger.")


LedgerUrl = Annotated[
    str, typer.Option("--ledger", help="Ledger URL, for example sqlite:///decisions.db.")
]


@ledger_app.command("verify")
def ledger_verify(
    ledger: LedgerUrl,
    anchor: Annotated[
        str | None,
        typer.Option(help="`head` of an earlier verification: shows rows cut off at the end."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that no decision and no label of a ledger is missing or was edited."""
    from feasible import loop

    found = loop.verify_ledger(ledger, anchor=anchor)
    _show(found, as_json=as_json)
    if not found.whole:
        raise typer.Exit(INFEASIBLE)


@ledger_app.command("stats")
def ledger_stats(ledger: LedgerUrl, as_json: AsJson = False) -> None:
    """Count decisions and labels: who answered, for how much, how fast, and what is known."""
    from feasible.ledger import ledger_stats as stats

    with _reading(ledger) as opened:
        found = stats(opened)
    _show(found if as_json else _stats_text(found), as_json=as_json)


@ledger_app.command("export")
def ledger_export(
    ledger: LedgerUrl,
    to: Annotated[Path, typer.Option(help="Folder of the export; made when it is not there.")],
    as_json: AsJson = False,
) -> None:
    """Write what is new since the last export as Parquet; an export that was cut short goes on."""
    from feasible.ledger import export

    with _reading(ledger) as opened:
        _show(export(opened, to), as_json=as_json)


@ledger_app.command("query")
def ledger_query(
    sql: Annotated[
        str, typer.Argument(help="One query over the tables decisions, labels and events.")
    ],
    export: Annotated[Path, typer.Option(help="Folder that `feasible ledger export` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Ask an export with SQL; needs the extra `analytics`."""
    from feasible.ledger import query_export

    rows = query_export(export, sql)
    if as_json:
        _show(rows, as_json=True)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*(rows[0] if rows else ["no rows"]))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


@ledger_app.command("purge")
def ledger_purge(
    ledger: LedgerUrl,
    older_than: Annotated[
        str | None, typer.Option(help="Only decisions older than this, for example 90d.")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(help="Only decisions where FIELD=VALUE, for example request.user_id=u7."),
    ] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            help="Make this field null instead of deleting, for example request.text; give it "
            "again for more. Also label.value, label.reviewer, path.why, idempotency_key."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete decisions with their labels, or redact fields, for good; the chain stays whole.

    May run beside a service. What was done, when and by whom becomes an event of the ledger.
    """
    from feasible.clock import SystemClock
    from feasible.ledger import Purge, purge, this_account

    before = None if older_than is None else _before(older_than, now=SystemClock().now())
    found = None
    if subject is not None:
        name, equals, value = subject.partition("=")
        if not equals:
            raise BadInput(
                "`--subject` is FIELD=VALUE", found=subject, attempt="request.user_id=u7"
            )
        found = (name, value)
    what = Purge(before=before, subject=found, redact=tuple(redact or ()))
    _show(purge(ledger, what, actor=f"user {this_account()}", dry_run=dry_run), as_json=as_json)


def _before(text: str, *, now: datetime) -> datetime:
    from feasible.units import Duration

    try:
        seconds = Duration(text).low
        before = now - timedelta(seconds=seconds)
    except (ValueError, OverflowError) as error:
        raise BadInput(
            "`--older-than` is a length of time", found=text, attempt="90d, or 12 h"
        ) from error
    if not seconds > 0:
        raise BadInput("`--older-than` is above 0", found=text, attempt="90d")
    return before


@contextmanager
def _reading(url: str) -> Iterator[SqliteLedger]:
    from feasible.ledger import open_ledger

    with closing(open_ledger(url, write=False)) as opened:
        yield opened


def _show(value: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        print(value)


def _stats_text(found: LedgerStats) -> str:
    lines = [
        ("decisions", f"{found.decisions:,}"),
        *((f"  by {name}", f"{count:,}") for name, count in found.by_tier.items()),
        *((f"  of {name}", f"{count:,}") for name, count in found.by_plan.items()),
        ("fell back", f"{found.fell_back:,}"),
        ("handed off", f"{found.handed_off:,}"),
        ("cost", f"${found.cost_usd:,.6f}, and {found.unpriced:,} unpriced"),
        ("latency", _percentiles(found.latency_ms, "ms")),
        ("labels", f"{found.labels:,}"),
        *((f"  {name}", f"{count:,}") for name, count in found.labels_by_source.items()),
        ("label delay", _percentiles(found.label_delay_days, "days")),
        ("events", f"{found.events:,}"),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _percentiles(found: Percentiles, unit: str) -> str:
    if found.p50 is None:
        return "unknown"
    return ", ".join(
        f"{name} {value:,.2f} {unit}"
        for name, value in (("p50", found.p50), ("p95", found.p95), ("p99", found.p99))
    )
