"""Recorded times of requests: read from a text file, a table, or one that is compressed."""

from __future__ import annotations

import gzip
import math
import zlib
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from feasible.errors import ScenarioError

__all__ = ["read_trace"]

_TRACE_IS: Final = "a file with one time a line, in seconds or as a date with its time"
_MOST_TRACE: Final = 2_000_000


def read_trace(path: Path) -> tuple[float, ...]:
    """Read recorded times, one a line or the first column of a CSV: seconds, or dates with time.

    Raises:
        ScenarioError: The file cannot be read, or has too few or too many times.
    """
    try:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if path.suffix == ".gz" else raw
        lines = text.decode("utf-8").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ScenarioError(
            f"the trace {path} cannot be read",
            asked=f"trace: {path.name}",
            found=str(error),
            attempt=_TRACE_IS,
        ) from error
    times = []
    for number, line in enumerate(lines, start=1):
        word = line.split(",")[0].strip().strip('"')
        try:
            times.append(_instant(word))
        except ValueError as error:
            if number == 1 or not word:
                continue  # a header, or an empty line
            raise ScenarioError(
                f"line {number} of the trace is no time",
                asked=f"trace: {path.name}",
                found=repr(word),
                attempt=_TRACE_IS,
                where=f"{path.name}:{number}",
            ) from error
    if not 2 <= len(times) <= _MOST_TRACE:  # noqa: PLR2004  one time has no rate
        raise ScenarioError(
            f"the trace {path.name} has {len(times):,} times",
            asked=f"trace: {path.name}",
            found=f"{len(times):,} times; from 2 to {_MOST_TRACE:,} can be replayed",
            attempt=_TRACE_IS,
        )
    rising = np.sort(np.array(times))
    if rising[-1] <= rising[0]:
        raise ScenarioError(
            f"all times of the trace {path.name} are the same",
            asked=f"trace: {path.name}",
            found=f"{len(times):,} times within 0 s, which have no rate",
            attempt=_TRACE_IS,
        )
    return tuple((rising - rising[0]).tolist())


def _instant(word: str) -> float:
    try:
        found = float(word)
    except ValueError:
        return datetime.fromisoformat(word[:26]).timestamp()
    if not math.isfinite(found):
        raise ValueError(f"no time: {word}")
    return found
