"""Run every benchmark and write docs/reference/measurements.md: `make bench`.

A benchmark is a file beside this one with a function `run() -> Section`, named in `BENCHMARKS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import (
    backtests,
    calibrated,
    cascade,
    feedback,
    floors,
    formats,
    fraud,
    fraud_served,
    frontiers,
    ledger,
    moderation,
    overload,
    profiles,
    routing,
    scale,
    semantic_cache,
    serving,
    simulation,
)
from bench.page import Section, write_page

BENCHMARKS: dict[str, Callable[[], Section]] = {
    "backtests": backtests.run,
    "moderation": moderation.run,
    "cascade": cascade.run,
    "floors": floors.run,
    "frontiers": frontiers.run,
    "scale": scale.run,
    "formats": formats.run,
    "semantic_cache": semantic_cache.run,
    "serving": serving.run,
    "overload": overload.run,
    "simulation": simulation.run,
    "calibrated": calibrated.run,
    "ledger": ledger.run,
    "feedback": feedback.run,
    "routing": routing.run,
    "profiles": profiles.run,
    "fraud": fraud.run,
    "fraud_served": fraud_served.run,
}
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "measurements.md"


def main(names: Sequence[str]) -> None:
    """Measure, one after the other, and write each section as soon as it is there.

    Args:
        names: Of benchmarks; all of them when empty.
    """
    chosen = names or tuple(BENCHMARKS)
    for number, name in enumerate(chosen, start=1):
        print(f"{number} of {len(chosen)}: {name}", flush=True)
        write_page([BENCHMARKS[name]()], PAGE)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="all when absent")
    main(arguments.parse_args().names)
