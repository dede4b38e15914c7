"""Known before the labels come: recall on a frozen stream, alarms, and the time both take.

python -m bench.feedback

NannyML, Evidently and river run in environments of their own, which are made when first needed.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from bench.late_recall import Answers, Weeks, ask_worlds, cbpe_weeks
from bench.page import Section, table
from bench.peers.environment import PeerFailed
from bench.peers.monitors.running import pinned, run_monitor

from feasible.schema import BoolArray, FloatArray
from feasible.stats import first_alarms

__all__ = ["run"]

_WORLDS: Final = range(400)
_CBPE_WORLDS: Final = range(40)
_SETTLED: Final = 15
"""Days after the drift from which on things have settled: the first two weeks are over."""
_PARTS, _STREAMS, _ADWIN_STREAMS = 5, 400, 40
_QUIET, _JUMP_AT = 100_000, 20_000
_BEFORE, _AFTER, _ALPHA = 0.05, 0.08, 1e-6
_ROWS, _COLUMNS = 1_000_000, 20
_COMPUTES: Final = (
    (
        "ours",
        "reference",
        (
            "recall, precision, F1, accuracy, AUC; KS, Jensen-Shannon and Wasserstein from 512 "
            "cells a column; in 100 chunks"
        ),
    ),
    (
        "nannyml",
        "reference",
        (
            "the same figures by CBPE with intervals of sampling error; the same three distances "
            "from the rows themselves; in 100 chunks, its reference fitted before"
        ),
    ),
    (
        "evidently",
        "million",
        (
            "its default drift report: one distance a column and a verdict, no chunks, no "
            "estimates; both tables of 1M rows"
        ),
    ),
)


def _rmse(found: FloatArray, truth: FloatArray) -> float:
    return float(np.sqrt(np.mean((found - truth) ** 2)))


def _recall(answers: Answers, weeks: Weeks | str) -> str:
    settled = answers.age >= _SETTLED
    early = (answers.age >= 1) & (answers.age < _SETTLED)
    told = answers.tells > 0
    inside = (answers.low <= answers.truth) & (answers.truth <= answers.high)
    asked = ~np.isnan(answers.oracle)
    width = answers.high - answers.low

    def row(name: str, found: FloatArray, *, ours: bool = False) -> list[str]:
        def cell(part: BoolArray) -> str:
            part = part & told if ours else part
            return f"{_rmse(found[part], answers.truth[part]):.4f}"

        return [name, cell(answers.age <= 0), cell(early), cell(settled)]

    shown = table(
        ["RMSE of recall", "before the drift", "first two weeks", "settled"],
        [
            row("ours", answers.value, ours=True),
            row("wait for mature labels", answers.mature),
            row("sum of scores, the idea of CBPE", answers.plug_in),
        ],
    )
    cover = table(
        ["95 % interval", "answered", "covers", "mean width"],
        [
            [name, f"{told[part].mean():.1%}", f"{inside[part & told].mean():.1%}",
             f"{width[part & told].mean():.4f}"]
            for name, part in (
                ("all days", np.ones_like(told)),
                ("before the drift", answers.age <= 0),
                ("first two weeks after it", early),
                ("settled", settled),
            )
        ],
    )  # fmt: skip
    both = asked & told
    versus = (
        f"Where both were asked, the mean width is {width[both].mean():.4f}; that of the same "
        f"estimate with the true delay distribution {answers.oracle[both].mean():.4f} "
        f"({width[both].mean() / answers.oracle[both].mean():.2f}x), and of one that is told the "
        f"day of the drift as well, and that there is no other, "
        f"{answers.knowing[both].mean():.4f} "
        f"({width[both].mean() / answers.knowing[both].mean():.2f}x)."
    )
    if isinstance(weeks, str):
        cbpe = f"NannyML: {weeks}."
    else:
        cbpe = (
            f"NannyML {pinned('nannyml')}'s CBPE itself, with the truth of every row of its "
            f"reference, on {len(weeks.truth):,} settled weeks of the first {len(_CBPE_WORLDS)} "
            f"worlds: RMSE {_rmse(weeks.cbpe, weeks.truth):.4f}; the sum of scores on the same "
            f"weeks {_rmse(weeks.plug_in, weeks.truth):.4f}."
        )
    return (
        f"Recall on a synthetic stream of card fraud (`bench/late_world.py`), frozen before the "
        f"estimate was tuned: {len(_WORLDS)} worlds of 120 days at 40,000 decisions, labels late "
        "and selective, 200 audits a day, and a new pattern that scores low from a day on that "
        "nobody is told. Each world is asked on every fourth day from day 37 on about the week "
        f"before, {len(answers.truth):,} questions. Settled: {_SETTLED} days after the drift and "
        f"later.\n\n{shown}\n\n{cbpe}\n\n{cover}\n\n{versus}"
    )


def _alarms() -> str:
    rng = np.random.default_rng(5)
    false, quiet = 0, np.empty((0, _QUIET), dtype=np.bool_)
    for _ in range(_PARTS):
        quiet = rng.random((_STREAMS, _QUIET), dtype=np.float32) < _BEFORE
        false += int((first_alarms(quiet.astype(np.float32), _BEFORE, alpha=_ALPHA) >= 0).sum())
    rate = np.where(np.arange(2 * _JUMP_AT) < _JUMP_AT, _BEFORE, _AFTER)
    jump = rng.random((_STREAMS, 2 * _JUMP_AT)) < rate
    found = first_alarms(jump.astype(np.float32), _BEFORE, alpha=_ALPHA)
    after = found[found >= _JUMP_AT] - _JUMP_AT
    rows = [
        [
            f"ours, {_ALPHA:g} false alarms a step declared",
            f"{false:,} of {_PARTS * _STREAMS:,} (declared: at most {_QUIET * _ALPHA:.0%})",
            f"{np.median(after):,.0f}",
            f"{(found < 0).sum()}",
        ]
    ]
    part = slice(0, _ADWIN_STREAMS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "streams.npz"
        np.savez(
            file,
            quiet=np.packbits(quiet[part], axis=1),
            jump=np.packbits(jump[part], axis=1),
            n_steps=_QUIET,
            at=_JUMP_AT,
        )
        try:
            adwin = run_monitor("river", "alarms.py", file)
            late = np.array(adwin["jump"])
            ours = found[part][found[part] >= _JUMP_AT] - _JUMP_AT
            rows[0][2] += f" ({np.median(ours):,.0f} on the streams of ADWIN)"
            rows.append(
                [
                    f"ADWIN of river {pinned('river')}, delta .002",
                    f"{(np.array(adwin['quiet']) >= 0).sum()} of {_ADWIN_STREAMS} (none declared)",
                    f"{np.median(late[late >= 0] - _JUMP_AT):,.0f}",
                    f"{(late < 0).sum()}",
                ]
            )
        except PeerFailed as failed:
            rows.append([f"ADWIN: {failed}", "", "", ""])
    shown = table(
        ["alarm", f"streams with a false one in {_QUIET:,} quiet steps", "median delay", "missed"],
        rows,
    )
    return (
        f"Alarms on streams of errors at {_BEFORE:.0%}, which go up to {_AFTER:.0%} after "
        f"{_JUMP_AT:,} steps; missed: not within {_JUMP_AT:,} more.\n\n{shown}"
    )


def _scored(n: int, *, moved: float, seed: int) -> FloatArray:
    """Draw features, then a probability and its truth."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, _COLUMNS))
    features[:, 0] += moved
    p = 1 / (1 + np.exp(2.0 - 1.2 * features[:, 0] + 0.8 * features[:, 1]))
    return np.column_stack([features, p, rng.random(n) < p])


def _speed() -> str:
    reference, current = _scored(50_000, moved=0, seed=1), _scored(_ROWS, moved=0.25, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.npy" for name in ("reference", "current", "million")}
        np.save(files["reference"], reference)
        np.save(files["current"], current)
        np.save(files["million"], _scored(_ROWS, moved=0, seed=3))
        rows: list[list[str]] = []
        ours_s = math.nan
        for name, first, what in _COMPUTES:
            arguments = (files[first], files["current"])
            try:
                found = (
                    _ours(arguments)
                    if name == "ours"
                    else run_monitor(name, "speed.py", *arguments)
                )
            except PeerFailed as failed:
                rows.append([name, str(failed), "", "", "", ""])
                continue
            took = found["seconds"]
            ours_s = sum(took) if name == "ours" else ours_s
            rows.append(
                [
                    name if name == "ours" else f"{name} {pinned(name)}",
                    f"{took[0]:.2f}" if len(took) > 1 else "none",
                    f"{took[-1]:.2f}",
                    f"{sum(took) / ours_s:,.1f}x",
                    f"+{found['mib']:,.0f}",
                    what,
                ]
            )
    shown = table(
        ["", "estimates s", "drift s", "time over ours", "peak memory, MiB", "computes"], rows
    )
    return f"Estimates and drift over {_ROWS:,} rows of {_COLUMNS} features.\n\n{shown}"


def _ours(arguments: tuple[Path, Path]) -> Any:
    """Run our part in a process of its own."""
    command = [sys.executable, "-m", "bench.own_monitor", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def run() -> Section:
    """Measure recall, alarms and speed."""
    answers = ask_worlds(_WORLDS)
    try:
        weeks: Weeks | str = cbpe_weeks(_CBPE_WORLDS, settled=_SETTLED)
    except PeerFailed as failed:
        weeks = str(failed)
    text = "\n\n".join([_recall(answers, weeks), _alarms(), _speed()])
    return Section("Feedback", "python -m bench feedback", text)


if __name__ == "__main__":
    print(run().text)
