"""Ten times as many requests as the service can answer, for a minute, and what comes after.

    python -m bench overload

A rule takes a millisecond of the processor here, so that the load generator can outrun the service
on one machine.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from bench.cores import Generator, rss_mb
from bench.ours import decide, running_ours, verified
from bench.page import Section, table
from bench.rules_feature import messages, write_rules_feature

from feasible.testing import Drive, drive_closed, drive_open

__all__ = ["run"]

_TIMES = 10
_BEFORE_S, _OVER_S, _AFTER_S = 5.0, 60.0, 15.0
_EASY = 0.5
_CONNECTIONS = 1_800
_MOST_WAITING = 2_000
_WINDOW_S = 0.5
_SAMPLE_S = 0.25
_DEADLINE_MS = 250.0
_TARGET_NORMAL_S = 5.0


def run() -> Section:
    """Find what the service can answer, send ten times that, then half of it."""
    asked = messages(4_000)
    with TemporaryDirectory(dir=".", prefix=".bench-") as place, Generator() as generator:
        feature = write_rules_feature(Path(place).resolve(), is_heavy=True)
        with running_ours(feature) as service:
            calls = [decide(service.url, text, team) for text, team in asked]
            closed = generator(drive_closed, service.url, calls, connections=32, seconds=_BEFORE_S)
            capacity = closed.answers_per_s
            with _memory(service.pid) as memory:
                drive = generator(
                    drive_open,
                    service.url,
                    calls,
                    connections=_CONNECTIONS,
                    per_s=capacity * _EASY,
                    seconds=_BEFORE_S,
                    then=[(capacity * _TIMES, _OVER_S), (capacity * _EASY, _AFTER_S)],
                    most_waiting=_MOST_WAITING,
                )
        _, is_whole = verified(service.ledger)
    return Section("Overload", "python -m bench overload", _text(capacity, drive, memory, is_whole))


def _text(
    capacity: float,
    drive: Drive,
    memory: list[tuple[float, float]],
    is_whole: bool,  # noqa: FBT001
) -> str:
    over_s = _BEFORE_S + _OVER_S
    normal_s = _normal_after(drive, over_s)
    refusals = sum(drive.refused.values())
    told = 1 - drive.bare_refusals / refusals if refusals else math.nan
    statuses = ", ".join(f"{n:,} with {status}" for status, n in sorted(drive.refused.items()))
    rows = [
        ["answered by a rule", f"{drive.answered - drive.wrong:,}", ""],
        ["answered by the fallback: a person takes it", f"{drive.wrong:,}", ""],
        [f"refused ({statuses or 'none'})", f"{refusals:,}", ""],
        ["refusals that said when to come again", f"{told:.1%}", "100 %"],
        ["without any answer", f"{sum(drive.broken.values()):,}", "0"],
        ["not sent: no connection free, and too many waiting", f"{drive.given_up:,}", ""],
        ["seconds until all was normal again", f"{normal_s:.1f}", f"under {_TARGET_NORMAL_S:g}"],
        ["generator late, p99", f"{drive.late_ms(0.99):.1f} ms", ""],
    ]
    phases = {
        f"before, at {_EASY:g}x": (0.0, _BEFORE_S),
        f"over, at {_TIMES}x, first third": (_BEFORE_S, _BEFORE_S + _OVER_S / 3),
        "second third": (_BEFORE_S + _OVER_S / 3, _BEFORE_S + 2 * _OVER_S / 3),
        "last third": (_BEFORE_S + 2 * _OVER_S / 3, over_s),
        f"after, at {_EASY:g}x": (over_s, over_s + _AFTER_S),
    }
    header = ["phase", "answered / s", "refused / s", "p50 ms", "p99 ms", "most memory MB"]
    curve = [_phase(name, *span, drive, memory) for name, span in phases.items()]
    return f"""\
The service answers {capacity:,.0f} / s from 32 connections on one core, since its rule takes 1 ms
of it. {_TIMES} times that came for {_OVER_S:g} s on {_CONNECTIONS:,} connections, in an open loop:
latency counts from the moment at which a request was due. While every connection is busy,
{_MOST_WAITING:,} requests wait for one; those beyond are not sent.

{table(header, curve)}

{table(["in all", "measured", "promised"], rows)}

Normal is every window of {_WINDOW_S:g} s, by when its requests were due, in which none was refused
and 99 of 100 were answered by their deadline of {_DEADLINE_MS:g} ms. Afterwards the ledger was
{"whole" if is_whole else "BROKEN"}.
"""


def _phase(
    name: str, since_s: float, until_s: float, drive: Drive, memory: list[tuple[float, float]]
) -> list[str]:
    latencies = np.asarray(drive.latencies_ms)
    due = np.asarray(drive.answered_s) - latencies / 1e3
    mine = latencies[(due >= since_s) & (due < until_s)]
    refused = np.asarray(drive.refused_s)
    refusals = int(((refused >= since_s) & (refused < until_s)).sum())
    most_mb = max((mb for at_s, mb in memory if since_s <= at_s < until_s), default=math.nan)
    p50, p99 = np.quantile(mine, [0.5, 0.99]) if len(mine) else (math.nan, math.nan)
    span_s = until_s - since_s
    return [
        name,
        f"{len(mine) / span_s:,.0f}",
        f"{refusals / span_s:,.0f}",
        f"{p50:.0f}",
        f"{p99:.0f}",
        f"{most_mb:.0f}",
    ]


def _normal_after(drive: Drive, over_s: float) -> float:
    """Give the seconds from the end of the overload to the end of the last window that shows it."""
    latencies = np.asarray(drive.latencies_ms)
    due = np.asarray(drive.answered_s) - latencies / 1e3
    refused = np.asarray(drive.refused_s)
    last_s = 0.0
    for start_s in np.arange(over_s, over_s + _AFTER_S, _WINDOW_S):
        end_s = start_s + _WINDOW_S
        mine = latencies[(due >= start_s) & (due < end_s)]
        is_late = len(mine) == 0 or float(np.quantile(mine, 0.99)) > _DEADLINE_MS
        if is_late or ((refused >= start_s) & (refused < end_s)).any():
            last_s = float(end_s - over_s)
    return last_s


@contextmanager
def _memory(pid: int) -> Iterator[list[tuple[float, float]]]:
    """Note the memory of a process again and again, by the seconds since the beginning."""
    samples: list[tuple[float, float]] = []
    began_s = time.perf_counter()
    over = threading.Event()

    def note() -> None:
        while not over.wait(_SAMPLE_S):
            samples.append((time.perf_counter() - began_s, rss_mb(pid)))

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    print(run().text)
