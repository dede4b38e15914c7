"""Reading a profile: seconds for so many lines, as Parquet and as CSV.

python -m bench.profiles
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from bench.page import Section, table

from feasible.planning import read_profile

__all__ = ["run"]

_LINES = (100_000, 1_000_000)
_TIERS = ("rules", "small", "large", "person")
_CLASSES = 50


def _log(n: int) -> pa.Table:
    """Make up a log: four tiers, fifty classes, a rare slice."""
    rng = np.random.default_rng(n)
    rows = n // len(_TIERS)
    row = np.repeat(np.arange(rows), len(_TIERS))
    words = pa.array([f"class {i}" for i in range(_CLASSES)])
    return pa.table(
        {
            "row_id": pa.array([f"request-{i}" for i in row]),
            "tier": pa.array(_TIERS * rows),
            "loss": pa.array((rng.random(n) < 0.2).astype(np.float64)),
            "answer": words.take(pa.array(rng.integers(0, _CLASSES, n))),
            "score": pa.array(rng.random(n)),
            "latency_ms": pa.array(rng.lognormal(3, 1, n)),
            "cost_usd": pa.array(rng.random(n) * 0.01),
            "label": words.take(pa.array(rng.integers(0, _CLASSES, rows)[row])),
            "time": pa.array(1_700_000_000.0 + row),
            "slice:risky": pa.array((rng.random(rows) < 0.02)[row]),
        }
    )


def _with_csv_module(path: Path) -> object:
    """Read every line as the standard library does, numbers converted; nothing is laid out."""
    numbers = ("loss", "score", "latency_ms", "cost_usd", "time")
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {**line, **{name: float(line[name]) for name in numbers}}
            for line in csv.DictReader(file)
        ]


def _seconds(read: Callable[[Path], object], path: Path) -> float:
    began = time.perf_counter()
    read(path)
    return time.perf_counter() - began


def run() -> Section:
    """Measure our reader, and as peers what only parses the same files."""
    readers: tuple[tuple[str, str, Callable[[Path], object]], ...] = (
        ("read_profile, Parquet", "parquet", read_profile),
        ("pyarrow alone, Parquet", "parquet", pq.read_table),
        ("read_profile, CSV", "csv", read_profile),
        ("pyarrow alone, CSV", "csv", pcsv.read_csv),
        ("csv module alone, CSV", "csv", _with_csv_module),
    )
    seconds: dict[str, list[str]] = {name: [] for name, _, _ in readers}
    with TemporaryDirectory(dir=".") as folder:
        for n in _LINES:
            log = _log(n)
            pq.write_table(log, Path(folder) / "log.parquet")
            pcsv.write_csv(log, Path(folder) / "log.csv")
            for name, ending, read in readers:
                path = Path(folder) / f"log.{ending}"
                seconds[name].append(f"{min(_seconds(read, path) for _ in range(3)):.2f}")
    header = ["reader", *(f"{n:,} lines, s" for n in _LINES)]
    text = f"""\
A log of ten columns, one line per row and tier, {len(_TIERS)} tiers; the best of three.
`read_profile` also checks every value, joins the lines of a row and lays them out as rows by tiers;
the others only parse the file.

{table(header, [[name, *values] for name, values in seconds.items()])}
"""
    return Section("Reading a profile", "python -m bench.profiles", text)


if __name__ == "__main__":
    print(run().text)
