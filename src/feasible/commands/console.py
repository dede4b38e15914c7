"""What commands share: their common options, features by name, JSON, tables and progress bars."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from feasible.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from feasible.folder import Feature
    from feasible.loop import Progress
    from feasible.schema import BriefFile, Plan

__all__ = [
    "HOLDS",
    "INFEASIBLE",
    "NO_EVIDENCE",
    "AsJson",
    "FeatureName",
    "Quiet",
    "console",
    "found_brief",
    "found_plan",
    "open_feature",
    "print_json",
    "progress_bars",
    "zoned_time",
]

HOLDS, INFEASIBLE, NO_EVIDENCE = 0, 3, 4
"""Exit codes: the promise holds, it does not, there is too little evidence to say."""

FeatureName = Annotated[
    str,
    typer.Argument(help="A feature folder, or the name of a reference system such as `support`."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]


def open_feature(name: str) -> Feature:
    """Open a feature folder or a reference system by name.

    Raises:
        BriefError: It is neither.
    """
    from feasible.systems import open_feature as opened

    return opened(name)


def found_brief(name: str) -> BriefFile:
    """Read the brief of a feature folder or of a reference system, or a brief by its own path.

    Raises:
        BriefError: It is none of them, or not valid.
    """
    from feasible.schema import load_brief

    path = Path(name)
    return load_brief(path) if path.suffix in {".yaml", ".yml"} else open_feature(name).found


def found_plan(name: str) -> Plan | None:
    """Read the plan of a feature folder or of a reference system; None for a brief, or without one.

    A plan that was made for another brief than the one beside it is none.
    """
    from feasible.schema import brief_fingerprint, read_plan

    if Path(name).suffix in {".yaml", ".yml"}:
        return None
    feature = open_feature(name)
    if not feature.plan_path.exists():
        return None
    plan = read_plan(feature.plan_path)
    return plan if plan.brief_fingerprint == brief_fingerprint(feature.brief) else None


def print_json(value: Any) -> None:
    """Print a value as one JSON document on standard output."""
    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()


def zoned_time(text: str | None, question: str, *, attempt: str) -> datetime:
    """Read a time with its zone.

    Raises:
        BadInput: It is none, or has no zone.
    """
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadInput(
            question, asked="a time with its zone", found=text or "none", attempt=attempt
        )
    return found


def console() -> Console:
    """Give what tables are printed with."""
    from rich.console import Console

    return Console()


@contextmanager
def progress_bars(*, enabled: bool) -> Iterator[Progress | None]:
    """Show one bar per stage on standard error, with the time left."""
    if not enabled:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report
