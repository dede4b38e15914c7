"""From raw scores to P(this answer is right), and which answers share a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit

from feasible.cascade import calibrate_all
from feasible.schema import (
    DEFAULT_GROUP,
    BoolArray,
    Brief,
    Calibrator,
    FloatArray,
    IntArray,
    Profile,
)

__all__ = [
    "Fit",
    "answer_groups",
    "brier_and_ece",
    "fit_calibrators",
    "held_out",
    "own_probabilities",
]

_ISOTONIC_ROWS: Final = 500
_ISOTONIC_ERRORS: Final = 50
_GROUP_ROWS: Final = 200
"""Rows that a group needs for a calibrator of its own; below, it shares the pooled one."""
_KNOTS: Final = 64
_SLOPE: Final = 0.002
"""What the order of scores adds to a probability. Where the fit is level, as isotonic regression is
for long stretches, a threshold could stand at neither score in between."""
_NEAR: Final = 0.01
_CORE: Final = 0.5
_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Fit:
    """Calibrators of one tier and how good they are, on held-out rows once `held_out` was asked.

    Attributes:
        calibrators: Answer group -> calibrator; `*` serves groups without their own.
        brier: Mean squared error of the probabilities. Ratio.
        ece: Expected calibration error over ten equal-count bins. Ratio.
        n: Rows.
    """

    calibrators: dict[str, Calibrator]
    brier: float
    ece: float
    n: int


def answer_groups(brief: Brief, profile: Profile, tier: int) -> dict[str, str]:
    """Sort a tier's answers by how near they are to a slice or a class that the brief protects.

    Where a promise stands on a slice or a class, answers that are mostly given to its rows form one
    group, and answers that at least one in a hundred times go to its rows form another: thresholds
    there may be stricter without touching the rest.

    Args:
        brief: The declaration.
        profile: Rows to look at; never those that certify.
        tier: Column.

    Returns:
        Answer value -> group; values that are not here belong to `*`.
    """
    groups: dict[str, str] = {}
    given = profile.answer_class[:, tier]
    known, count = given >= 0, len(profile.classes)
    times = np.bincount(given[known], minlength=count)
    for name, member in _protected(brief, profile).items():
        inside = np.bincount(given[known & member], minlength=count)
        for index, value in enumerate(profile.classes):
            if value in groups or not times[index]:
                continue
            share = float(inside[index] / times[index])
            if share >= _CORE:
                groups[value] = name
            elif share >= _NEAR:
                groups[value] = f"near_{name}"
    return groups


def _protected(brief: Brief, profile: Profile) -> dict[str, BoolArray]:
    """Give the rows of each slice or class that a quality promise is about, where it is a part."""
    out = {}
    for objective in brief.envelope:
        if not objective.needs_labels:
            continue
        for name in (objective.on, objective.of):
            if name is None or name in out:
                continue
            member = profile.slices.get(name)
            if member is None:
                member = profile.truth.among(frozenset({name}))
            if member.any() and member.mean() <= _CORE:
                out[name] = np.asarray(member, dtype=np.bool_)
    return out


def fit_calibrators(profile: Profile, tier: int, groups: dict[str, str]) -> Fit | None:
    """Fit one calibrator for all answers of a tier, and one for each group with enough rows.

    Args:
        profile: Labelled rows that are not used to search or certify.
        tier: Column.
        groups: Answer value -> group.

    Returns:
        The calibrators, or None when the tier never answered a labelled row.
    """
    usable = profile.answered[:, tier] & ~np.isnan(profile.loss[:, tier])
    if not usable.any():
        return None
    score, right = profile.score[:, tier], 1.0 - profile.loss[:, tier]
    calibrators = {DEFAULT_GROUP: _fit(score[usable], right[usable])}
    group_of = np.array(
        [*(groups.get(value, DEFAULT_GROUP) for value in profile.classes), DEFAULT_GROUP],
        dtype=object,
    )[profile.answer_class[:, tier]]
    probability = _apply(calibrators[DEFAULT_GROUP], score)
    for group in sorted(set(groups.values())):
        rows = usable & (group_of == group)
        if rows.sum() >= _GROUP_ROWS or _is_constant(calibrators[DEFAULT_GROUP], rows):
            calibrators[group] = _fit(score[rows], right[rows])
            probability[rows] = _apply(calibrators[group], score[rows])
    brier, ece = brier_and_ece(probability[usable], right[usable])
    return Fit(calibrators, brier, ece, int(usable.sum()))


def own_probabilities(
    fit: Fit,
    groups: Mapping[str, str],
    names: tuple[str, ...],
    profile: Profile,
    column: int,
) -> tuple[FloatArray, IntArray]:
    """Give a tier's probabilities from its scores alone, and the group of each answer.

    Args:
        fit: The tier's calibrators.
        groups: Answer value -> group.
        names: Its groups, `*` first.
        profile: The rows.
        column: The tier's column.

    Returns:
        shape (n_rows,) probabilities, NaN without one; shape (n_rows,) indices into `names`.
    """
    index = {name: i for i, name in enumerate(names)}
    of_class = [index[groups.get(value, DEFAULT_GROUP)] for value in profile.classes]
    group = np.array([*of_class, index[DEFAULT_GROUP]])[profile.answer_class[:, column]]
    if len(names) == 1:
        return calibrate_all(fit.calibrators[DEFAULT_GROUP], profile.score[:, column]), group
    out = np.full(len(profile), np.nan)
    for i, name in enumerate(names):
        rows = group == i
        chosen = fit.calibrators.get(name) or fit.calibrators[DEFAULT_GROUP]
        out[rows] = calibrate_all(chosen, profile.score[rows, column])
    return out, group


def held_out(fit: Fit, probability: FloatArray, right: FloatArray) -> Fit:
    """Give the same calibrators with their quality on rows that did not fit them."""
    known = ~np.isnan(probability)
    if not known.any():
        return fit
    brier, ece = brier_and_ece(probability[known], right[known])
    return replace(fit, brier=brier, ece=ece, n=int(known.sum()))


def brier_and_ece(probability: FloatArray, right: FloatArray) -> tuple[float, float]:
    """Give the Brier score and the expected calibration error of probabilities.

    Examples:
        >>> sure = np.array([1.0, 1.0, 0.0, 0.0])
        >>> brier_and_ece(sure, sure)
        (0.0, 0.0)
    """
    brier = float(np.mean((probability - right) ** 2))
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, min(_BINS, len(order)))
    gaps = [abs(probability[b].mean() - right[b].mean()) * len(b) for b in bins if len(b)]
    return brier, float(sum(gaps) / len(order))


def _is_constant(pooled: Calibrator, rows: BoolArray) -> bool:
    return pooled.method == "constant" and bool(rows.any())


def _apply(calibrator: Calibrator, score: FloatArray) -> FloatArray:
    if calibrator.method == "constant":
        return np.full(score.shape, calibrator.y[0])
    return np.asarray(np.interp(score, calibrator.x, calibrator.y))


def _fit(score: FloatArray, right: FloatArray) -> Calibrator:
    """Choose isotonic, Platt or a constant by how much there is to learn from."""
    known = ~np.isnan(score)
    n = len(score)
    if not known.all() or np.ptp(score) == 0:
        # One imaginary right and one wrong answer keep a handful of rows from claiming certainty.
        return Calibrator(method="constant", x=(0.0,), y=(float((right.sum() + 1) / (n + 2)),), n=n)
    errors = float((1.0 - right).sum())
    if n >= _ISOTONIC_ROWS and errors >= _ISOTONIC_ERRORS:
        return _isotonic(score, right)
    return _platt(score, right)


def _isotonic(score: FloatArray, right: FloatArray) -> Calibrator:
    order = np.argsort(score, kind="stable")
    x, y = score[order], isotonic_regression(right[order]).x
    distinct, first = np.unique(x, return_index=True)
    means = np.add.reduceat(y, first) / np.diff([*first, len(y)])
    keep = np.unique(np.linspace(0, len(distinct) - 1, min(_KNOTS, len(distinct))).round())
    index = keep.astype(np.int64)
    level = np.clip(np.maximum.accumulate(means[index]), 0.0, 1.0)
    rising = (1 - _SLOPE) * level + _SLOPE * np.linspace(0.0, 1.0, len(index))
    return Calibrator(
        method="isotonic",
        x=tuple(float(v) for v in distinct[index]),
        y=tuple(float(v) for v in rising),
        n=len(score),
    )


def _platt(score: FloatArray, right: FloatArray) -> Calibrator:
    """Fit a logistic curve with Platt's smoothed targets by Newton's method, slope not negative."""
    middle, spread = float(score.mean()), float(score.std()) or 1.0
    x = (score - middle) / spread
    hits = float(right.sum())
    target = np.where(
        right > 0.5,  # noqa: PLR2004  more right than wrong
        (hits + 1) / (hits + 2),
        1 / (len(right) - hits + 2),
    )
    slope, offset = 1.0, float(np.log((hits + 1) / (len(right) - hits + 1)))
    for _ in range(50):
        p = expit(slope * x + offset)
        w = np.maximum(p * (1 - p), 1e-9)
        gradient = np.array([((p - target) * x).sum() + 1e-3 * slope, (p - target).sum()])
        hessian = np.array([[(w * x * x).sum() + 1e-3, (w * x).sum()], [(w * x).sum(), w.sum()]])
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
        slope, offset = slope - float(step[0]), offset - float(step[1])
        if float(np.abs(step).max()) < 1e-8:  # noqa: PLR2004  converged
            break
    knots = np.unique(np.quantile(score, np.linspace(0, 1, 33)))
    y = 1 / (1 + np.exp(-(max(slope, 0.0) * (knots - middle) / spread + offset)))
    return Calibrator(
        method="platt",
        x=tuple(float(v) for v in knots),
        y=tuple(float(v) for v in y),
        n=len(score),
    )
