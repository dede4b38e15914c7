"""Run every benchmark and write docs/reference/measurements.md: `make bench`.

A benchmark is a file beside this one with a function `run() -> Section`, named in `BENCHMARKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench import (
    backtests,
    cascade,
    floors,
    formats,
    frontiers,
    ledger,
    moderation,
    profiles,
    routing,
    scale,
    semantic_cache,
    serving,
)
from bench.page import Section, write_page

BENCHMARKS: tuple[Callable[[], Section], ...] = (
    backtests.run,
    moderation.run,
    cascade.run,
    floors.run,
    frontiers.run,
    scale.run,
    formats.run,
    semantic_cache.run,
    serving.run,
    ledger.run,
    routing.run,
    profiles.run,
)
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "measurements.md"


def main() -> None:
    """Measure, one after the other, and write the page."""
    sections = []
    for number, benchmark in enumerate(BENCHMARKS, start=1):
        print(f"{number} of {len(BENCHMARKS)}: {benchmark.__module__}", flush=True)
        sections.append(benchmark())
    write_page(sections, PAGE)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
