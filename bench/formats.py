"""What 8-bit integers and 16-bit floats of one model save and cost against 32-bit floats.

    FEASIBLE_DATA_DIR=DIR python -m bench.formats

The sentence model of `feasible.tiers:MiniLMHead` is fitted on the training rows of BANKING77 in
each format and asked about the published test rows: one request at a time, one thread a call. The
formats take turns, forty rows each, in an order drawn anew for each turn, so that whatever else the
machine does meets all of them alike. Turns of one row would push each other's weights out of the
processor's caches, as no service with one format does: 50 % saved where it is 53 %.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from bench.page import Section, table

from feasible.planning.formats import (
    Estimate,
    FormatComparison,
    FormatFigures,
    compare_formats,
)
from feasible.registry import weights
from feasible.schema import Answer, Example, FloatArray, Profile
from feasible.systems.support.data import examples
from feasible.tiers import MiniLMHead

__all__ = ["fitted", "measure", "run"]

_SEED = 20261124
_FORMATS = {"int8": "minilm", "fp16": "minilm-fp16", "fp32": "minilm-fp32"}
"""Format -> name of its weights; the last is what the others are held against."""
_TURN = 40
_PASSES = 3


def fitted(rows: Sequence[Example]) -> dict[str, MiniLMHead]:
    """Fit every format on these rows."""
    tiers = {name: MiniLMHead(precision=name, weights=weights) for name in _FORMATS}
    for tier in tiers.values():
        tier.fit(rows, seed=0)
    return tiers


def measure(tiers: Mapping[str, MiniLMHead], asked: Sequence[Example], *, seed: int) -> Profile:
    """Ask every format about every row, the formats in turns.

    Args:
        tiers: Format -> the fitted tier.
        asked: Labelled rows.
        seed: Of the order of the turns.
    """
    names, rng = tuple(tiers), np.random.default_rng(seed)
    answers: list[list[Answer]] = [[Answer()] * len(names) for _ in asked]
    took = np.empty((len(asked), len(names)))
    for start in range(0, len(asked), _TURN):
        for k in rng.permutation(len(names)):
            tiers[names[k]].answer([asked[start].request])  # the caches hold another's weights
            for i in range(start, min(start + _TURN, len(asked))):
                began = time.perf_counter()
                answers[i][k] = tiers[names[k]].answer([asked[i].request])[0]
                took[i, k] = (time.perf_counter() - began) * 1e3
    return _profile(names, asked, answers, took)


def _profile(
    names: tuple[str, ...],
    asked: Sequence[Example],
    answers: Sequence[Sequence[Answer]],
    took: FloatArray,
) -> Profile:
    given = [[str(answer.value) for answer in row] for row in answers]
    classes = sorted({value for row in given for value in row})
    truth = np.array([[str(row.label)] for row in asked])
    return Profile(
        row_ids=tuple(row.row_id for row in asked),
        tiers=names,
        loss=(np.array(given) != truth).astype(np.float64),
        answered=np.ones(took.shape, dtype=np.bool_),
        score=np.full(took.shape, np.nan),
        answer_class=np.searchsorted(classes, given).astype(np.int64),
        classes=tuple(classes),
        latency_ms=took,
        cost_usd=np.full(took.shape, np.nan),
    )


def run() -> Section:
    """Measure the formats on BANKING77."""
    rows = list(examples("banking77").examples)
    train = [row for row in rows if row.split == "train"]
    test = [row for row in rows if row.split == "test"]
    tiers = fitted(train)
    passes = [
        compare_formats(measure(tiers, test, seed=_SEED + i), tuple(_FORMATS))
        for i in range(_PASSES)
    ]
    found = passes[0]
    sizes = {name: _megabytes(weights(stored)) for name, stored in _FORMATS.items()}
    base = found[0].against
    lines = [[*_own(c.format, sizes), *_differences(c)] for c in found]
    lines.append([*_own(base, sizes), "", "", ""])
    header = ["format", "MB", "p50 ms", "p95 ms", "accuracy, %"]
    header += ["latency saved, %", "accuracy lost, points", "answers changed, %"]
    said = "\n".join(f"- {comparison.sentence}" for comparison in found)
    again = "; ".join(
        f"{one[0].format.tier} {', '.join(_spread(c.latency_saved, '.0f') for c in one)}"
        for one in zip(*passes, strict=True)
    )
    text = f"""\
all-MiniLM-L6-v2 and a linear classifier, fitted on the {len(train):,} training rows of BANKING77
(77 intents) and asked about its {len(test):,} test rows, one at a time on one thread, the formats
taking turns of {_TURN} rows. The published archive stores its weights in 8 bits: `fp32` computes in
32 bits with those weights, so that what is measured is the format of the computing and not that of
the storing.

{table(header, lines)}

In parentheses: two-sided 95 % intervals over the rows, in pairs, each on its own.
Accuracy lost is that of `{base.tier}` less that of the format.

{said}

An interval of latency holds for this machine, as busy as it was. The table is the first of
{_PASSES} passes, one after the other; latency saved in each of them, in percent: {again}.
"""
    return Section("Formats of one model", "python -m bench.formats", text)


def _own(figures: FormatFigures, megabytes: dict[str, float]) -> list[str]:
    accuracy = None if figures.accuracy is None else 100 * figures.accuracy
    return [
        figures.tier,
        f"{megabytes[figures.tier]:.0f}",
        _known(figures.latency_p50_ms, ".2f"),
        _known(figures.latency_p95_ms, ".2f"),
        _known(accuracy, ".2f"),
    ]


def _differences(found: FormatComparison) -> list[str]:
    return [
        _spread(found.latency_saved, ".0f"),
        _spread(found.accuracy_lost, ".2f"),
        _spread(found.answers_changed, ".1f"),
    ]


def _known(value: float | None, digits: str) -> str:
    return "unknown" if value is None else format(value, digits)


def _spread(found: Estimate | None, digits: str) -> str:
    """Give a share in percent, with its interval."""
    if found is None:
        return "unknown"
    value, low, high = (format(100 * part, digits) for part in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _megabytes(folder: Path) -> float:
    return (folder / "model.onnx").stat().st_size / 1e6


if __name__ == "__main__":
    print(run().text)
