"""The fraud system over HTTP: how long a payment waits while its features are computed online.

    python -m bench fraud_served

The plan for now is made anew and served on one core; the load generator has the other. Payments are
those of the synthetic world that are to come, in their order, at the declared rate and at its peak.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from bench.cores import Generator
from bench.ours import running_ours
from bench.page import Section, table

from feasible.systems import system_folder
from feasible.systems.fraud.data import request_of, slices_of
from feasible.systems.fraud.stream import history, payments_of_world
from feasible.testing import Call, Drive, drive_open, post

__all__ = ["run"]

_PER_S = (40, 200)
"""As the brief declares: on average, and at the peak."""
_SECONDS = 20.0
_CONNECTIONS = 64
_PROMISED_MS, _PROMISED_USD = 200.0, 0.003


def run() -> Section:
    """Plan, serve, and send payments."""
    with TemporaryDirectory(dir=".", prefix=".bench-") as place, Generator() as generator:
        folder = _copied(Path(place).resolve())
        print("  planning", flush=True)
        lines = {line["objective"]: line for line in _planned(folder)["certificate"]}
        print("  serving", flush=True)
        drives: dict[int, Drive] = {}
        for rate in _PER_S:  # each on a stream that begins where the history ends
            with running_ours(folder) as service:
                drives[rate] = generator(
                    drive_open,
                    service.url,
                    _calls(service.url, int(rate * _SECONDS * 1.2)),
                    connections=_CONNECTIONS,
                    per_s=rate,
                    seconds=_SECONDS,
                )
    usd, ms = lines["cost_mean"]["bound"], lines["latency_p99"]["bound"]
    rows = [
        [
            f"{rate}",
            f"{drive.answered:,}",
            *(f"{drive.percentile_ms(q):.1f}" for q in (0.5, 0.95, 0.99)),
            f"under {_PROMISED_MS:g}",
            "yes" if drive.percentile_ms(0.99) < _PROMISED_MS else "no",
            f"{drive.errors:,}",
        ]
        for rate, drive in drives.items()
    ]
    header = ["payments / s", "answered", "p50 ms", "p95 ms", "p99 ms", "p99 promised", "kept"]
    text = f"""\
Synthetic payments, features computed online in the process that answers, the ledger durable.
Open loop for {_SECONDS:g} s at a rate: latency counts from when a payment was due. The plan for now
is certified for ${usd:.4f} a decision at most (${_PROMISED_USD:g} promised) and a p99 of
{ms:.1f} ms at most while it was profiled.

{table([*header, "without a right answer"], rows)}
"""
    return Section("Card fraud, served", "python -m bench fraud_served", text)


def _copied(parent: Path) -> Path:
    source = system_folder("fraud")
    if source is None:
        raise RuntimeError("the fraud system is not there")
    folder = parent / "fraud"
    folder.mkdir()
    for name in ("data", "tiers"):
        text = f"from feasible.systems.fraud.{name} import *\n"
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    (folder / "brief.yaml").write_bytes((source / "brief.yaml").read_bytes())
    return folder


def _planned(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "feasible", "plan", str(folder), "--quiet", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    now: dict[str, Any] = found["fallback_plan"]
    return now


def _calls(url: str, count: int) -> list[Call]:
    first = len(history())
    made = payments_of_world().take(np.arange(first, first + count))
    columns = (made.payment, made.time_ms, made.customer, made.terminal, made.cents)
    return [
        post(
            f"{url}/v1/decide",
            msgspec.json.encode(
                {"request": request_of(*line), "slices": sorted(slices_of(line[4]))}
            ),
            expected=b'"answer":"',
        )
        for line in np.column_stack(columns).tolist()
    ]


if __name__ == "__main__":
    print(run().text)
