"""What one format of a model saves and costs against another, row by row.

Formats are tiers that name the same `model` in the brief: 8-bit integers beside 32-bit floats, or
any two ways of running one thing. They answer the same rows, so that every statement is about
pairs: what differs between rows cancels, and small differences can be told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

# scipy.stats has the same under friendlier names, and takes over a second to import.
from scipy.special import ndtri, stdtrit

from feasible.errors import DataError, nearest
from feasible.schema import BoolArray, Brief, FloatArray, Profile
from feasible.stats import interval, mean_interval

__all__ = [
    "Estimate",
    "FormatComparison",
    "FormatFigures",
    "compare_formats",
    "formats_of",
    "paired_difference",
]

_FEWEST: Final = 2
"""Differences that an interval needs: of one, nobody knows how far it spreads."""
_BATCHES: Final = 30
"""Batches of rows in a row; 10 to 30 are enough, and more shorten no interval (Schmeiser)."""
_POINTS: Final = 100


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its two-sided interval, in one unit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FormatFigures:
    """One format on its own.

    Attributes:
        tier: Name.
        latency_p50_ms: Half of the calls take less; None when no call was timed.
        latency_p95_ms: 95 of 100 calls take less; None when no call was timed.
        cost_usd: Mean dollars of one call; None when unknown.
        accuracy: 1 - mean loss on the rows that judge. Ratio; None without any.
    """

    tier: str
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    cost_usd: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class FormatComparison:
    """One format against another on the same rows. None where there is nothing to compare.

    Attributes:
        format: The format that is judged.
        against: The format that it is held against.
        n_rows: Rows that both were asked about.
        n_timed: Pairs of calls that were really timed.
        n_judged: Rows that both answered and whose truth is known.
        confidence_level: Of each interval on its own.
        latency_saved: Share of a call's time that is saved, at the geometric mean over rows; below
            0 when it takes longer. Ratio.
        cost_saved_usd: Mean dollars of a call that are saved; below 0 when it is dearer.
        accuracy_lost: Accuracy of the other less the accuracy of this one. Ratio, -1 to 1.
        answers_changed: Share of the rows whose answer differs. Ratio.
    """

    format: FormatFigures
    against: FormatFigures
    n_rows: int
    n_timed: int
    n_judged: int
    confidence_level: float
    latency_saved: Estimate | None
    cost_saved_usd: Estimate | None
    accuracy_lost: Estimate | None
    answers_changed: Estimate | None

    @property
    def sentence(self) -> str:
        """Say it in one sentence, with the intervals in parentheses."""
        parts = [_said_latency(self), _said_accuracy(self.accuracy_lost)]
        if self.answers_changed is not None:
            parts.append(f"changes {_percent(self.answers_changed)} of the answers")
        told = [part for part in parts if part]
        if not told:
            return f"{self.format.tier} and {self.against.tier} cannot be compared on these rows."
        *head, last = told
        joined = f"{', '.join(head)} and {last}" if head else last
        return f"{self.format.tier} {joined}."


def formats_of(brief: Brief, profile: Profile) -> dict[str, tuple[str, ...]]:
    """Give the tiers that are formats of one model: those with the same `model` in the brief.

    Tiers stand cheapest first in a brief, so that the last of them is what the others are held
    against. Simulated tiers are left out: a difference between made-up answers says nothing.

    Returns:
        Model -> names of its tiers in the brief's order, for models with two or more of them.
    """
    found: dict[str, list[str]] = {}
    for tier in brief.layers.tiers:
        if tier.model and tier.name in profile.tiers and tier.name not in profile.simulated:
            found.setdefault(tier.model, []).append(tier.name)
    return {model: tuple(names) for model, names in found.items() if len(names) > 1}


def compare_formats(
    profile: Profile,
    tiers: Sequence[str],
    *,
    against: str | None = None,
    confidence_level: float = 0.95,
) -> tuple[FormatComparison, ...]:
    """Hold formats of one model against one of them, in pairs.

    Only rows that were set aside for certification are looked at, where there are any: they were
    answered by the tiers that are served, and each of their calls was timed on its own. Elsewhere
    a timed call may be borrowed by many rows; it is counted once. A busy spell of the machine lasts
    for many calls: of the interval over calls and that over batches of them, the wider is given.

    The intervals assume rows that are drawn like the traffic, and a machine that was as busy for
    one format as for the other; what changed between two tiers' turns is not in them. Each holds
    on its own: of twenty, one may miss. A format that is chosen by these figures needs other rows
    to certify it; the planner chooses without them.

    Args:
        profile: What every tier would have answered.
        tiers: Names of the formats.
        against: The one that the others are held against; the last when absent.
        confidence_level: Chance that one interval covers the truth. Ratio in (0, 1).

    Returns:
        One comparison for every other format, in the order given.

    Raises:
        DataError: A name is not a tier of the profile.

    Source:
        Latency and cost: the paired t interval, Student (1908), of logarithms and of dollars, and
        that of batch means, Schmeiser (1982), Operations Research 30(3).
        Accuracy: `paired_difference`; a loss between 0 and 1, by betting, Waudby-Smith and Ramdas
        (2024). Answers changed: Clopper and Pearson (1934).
    """
    base = tiers[-1] if against is None else against
    for name in (*tiers, base):
        if name not in profile.tiers:
            raise DataError(
                f"there is no tier {name!r} in the profile",
                found=f"tiers: {', '.join(profile.tiers)}",
                attempt=nearest(name, profile.tiers),
            )
    if profile.is_test is not None:
        profile = profile.take(profile.is_test)
    return tuple(_pair(profile, name, base, confidence_level) for name in tiers if name != base)


def _pair(profile: Profile, name: str, base: str, level: float) -> FormatComparison:
    one, other = profile.tiers.index(name), profile.tiers.index(base)
    judged = np.asarray(~np.isnan(profile.loss[:, [one, other]]).any(axis=1))
    took = profile.latency_ms[:, [one, other]]
    timed = took[~np.isnan(took).any(axis=1) & (took > 0).all(axis=1)]
    paid = profile.cost_usd[:, [one, other]]
    paid = paid[~np.isnan(paid).any(axis=1)]
    return FormatComparison(
        format=_figures(profile, one, judged),
        against=_figures(profile, other, judged),
        n_rows=len(profile),
        n_timed=_distinct(timed),
        n_judged=int(judged.sum()),
        confidence_level=level,
        latency_saved=_latency_saved(timed, level),
        cost_saved_usd=_mean_of(paid[:, 1] - paid[:, 0], _distinct(paid), level),
        accuracy_lost=_accuracy_lost(profile.loss[judged][:, [one, other]], level),
        answers_changed=_answers_changed(profile, one, other, level),
    )


def _figures(profile: Profile, column: int, judged: BoolArray) -> FormatFigures:
    took = profile.latency_ms[:, column]
    took = took[~np.isnan(took)]
    paid = profile.cost_usd[:, column]
    is_priced = len(paid) > 0 and not np.isnan(paid).all()
    return FormatFigures(
        tier=profile.tiers[column],
        latency_p50_ms=float(np.quantile(took, 0.5)) if len(took) else None,
        latency_p95_ms=float(np.quantile(took, 0.95)) if len(took) else None,
        cost_usd=float(np.nanmean(paid)) if is_priced else None,
        accuracy=1 - float(profile.loss[judged, column].mean()) if judged.any() else None,
    )


def _distinct(pairs: FloatArray) -> int:
    """Count pairs once: a call that many rows borrow is the evidence of one."""
    return len(np.unique(pairs, axis=0))


def _latency_saved(timed: FloatArray, level: float) -> Estimate | None:
    n = _distinct(timed)
    if n < _FEWEST:
        return None
    ratio = _mean_of(np.log(timed[:, 0] / timed[:, 1]), n, level)
    if ratio is None:
        return None
    return Estimate(-math.expm1(ratio.value), -math.expm1(ratio.high), -math.expm1(ratio.low))


def _mean_of(values: FloatArray, n: int, level: float) -> Estimate | None:
    """Give the mean of differences with its t interval from `n` of them that are independent."""
    if len(values) < _FEWEST:
        return None
    mean, spread = float(values.mean()), float(np.ptp(values))
    if spread <= 1e-12 * max(abs(mean), 1e-12):  # declared prices: there is nothing to estimate
        return Estimate(mean, mean, mean)
    reach = _reach(float(values.std(ddof=1)), n, level)
    if len(values) >= 2 * _BATCHES:
        batches = [part.mean() for part in np.array_split(values, _BATCHES)]
        reach = max(reach, _reach(float(np.std(batches, ddof=1)), _BATCHES, level))
    return Estimate(mean, mean - reach, mean + reach)


def _reach(deviation: float, n: int, level: float) -> float:
    """Give how far Student's interval for a mean reaches to either side."""
    return float(stdtrit(n - 1, 1 - (1 - level) / 2)) * deviation / math.sqrt(n)


def _accuracy_lost(losses: FloatArray, level: float) -> Estimate | None:
    """Give the mean loss of the first column less that of the second."""
    if len(losses) == 0:
        return None
    if np.isin(losses, (0.0, 1.0)).all():
        wrong = losses > 0
        only_other = int((wrong[:, 0] & ~wrong[:, 1]).sum())
        only_one = int((~wrong[:, 0] & wrong[:, 1]).sum())
        neither = int((wrong[:, 0] & wrong[:, 1]).sum())
        both = len(losses) - only_other - only_one - neither
        return paired_difference(both, only_other, only_one, neither, confidence_level=level)
    lost = losses[:, 0] - losses[:, 1]
    low, high = mean_interval((lost + 1) / 2, cap=1.0, confidence_level=level)
    return Estimate(float(lost.mean()), 2 * low - 1, 2 * high - 1)


def _answers_changed(profile: Profile, one: int, other: int, level: float) -> Estimate | None:
    answered, given = profile.answered[:, [one, other]], profile.answer_class[:, [one, other]]
    known = ~(answered & (given < 0)).any(axis=1)  # an answer without a name cannot be compared
    if not known.any():
        return None
    differs = (answered[:, 0] != answered[:, 1]) | (
        answered.all(axis=1) & (given[:, 0] != given[:, 1])
    )
    hits, n = int((differs & known).sum()), int(known.sum())
    low, high = interval(hits, n, confidence_level=level)
    return Estimate(hits / n, low, high)


def paired_difference(
    both: int, first_only: int, second_only: int, neither: int, *, confidence_level: float
) -> Estimate:
    """Give the difference of two rates on the same rows, the first less the second.

    Args:
        both: Rows that both got right. Count.
        first_only: Rows that only the first got right. Count.
        second_only: Rows that only the second got right. Count.
        neither: Rows that neither got right. Count.
        confidence_level: Chance that the interval covers the true difference. Ratio in (0, 1).

    Raises:
        ValueError: There are no rows.

    Source:
        Newcombe (1998), Statistics in Medicine 17, 2635-2650, method 10: Wilson's score intervals
        of both rates, joined by their correlation with a continuity correction.

    Examples:
        >>> found = paired_difference(59, 6, 16, 80, confidence_level=0.95)
        >>> round(found.value, 4), round(found.low, 4), round(found.high, 4)
        (-0.0621, -0.1186, -0.0046)
    """
    n = both + first_only + second_only + neither
    if n == 0 or min(both, first_only, second_only, neither) < 0:
        raise ValueError(f"a table of at least one row; found {n} rows")
    first, second = (both + first_only) / n, (both + second_only) / n
    down_1, up_1 = _wilson_reach(first, n, confidence_level)
    down_2, up_2 = _wilson_reach(second, n, confidence_level)
    phi = _correlation(both, first_only, second_only, neither)
    value = (first_only - second_only) / n
    below = math.sqrt(max(down_1**2 - 2 * phi * down_1 * up_2 + up_2**2, 0.0))
    above = math.sqrt(max(down_2**2 - 2 * phi * down_2 * up_1 + up_1**2, 0.0))
    return Estimate(value, value - below, value + above)


def _wilson_reach(rate: float, n: int, level: float) -> tuple[float, float]:
    """Give how far Wilson's score interval reaches below and above a rate."""
    z2 = float(ndtri(1 - (1 - level) / 2)) ** 2
    middle = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return rate - (middle - half), middle + half - rate


def _correlation(both: int, first_only: int, second_only: int, neither: int) -> float:
    n = both + first_only + second_only + neither
    margins = (
        (both + first_only)
        * (second_only + neither)
        * (both + second_only)
        * (first_only + neither)
    )
    if margins == 0:
        return 0.0
    product = both * neither - first_only * second_only
    corrected = max(product - n / 2, 0.0) if product > 0 else float(product)
    return corrected / math.sqrt(margins)


def _said_latency(found: FormatComparison) -> str:
    saved = found.latency_saved
    if saved is None:
        return ""
    if saved.value < 0:
        longer = Estimate(-saved.value, -saved.high, -saved.low)
        return f"takes {_percent(longer)} longer than {found.against.tier}"
    return f"saves {_percent(saved)} of the latency of {found.against.tier}"


def _said_accuracy(lost: Estimate | None) -> str:
    if lost is None:
        return ""
    verb, sign = ("gains", -1) if lost.value < 0 else ("costs", 1)
    ends = sorted((sign * lost.low * _POINTS, sign * lost.high * _POINTS))
    value = sign * lost.value * _POINTS
    return f"{verb} {_short(value)} points of accuracy ({_short(ends[0])} to {_short(ends[1])})"


def _percent(found: Estimate) -> str:
    value, low, high = (_POINTS * part for part in (found.value, found.low, found.high))
    if max(abs(value), abs(low), abs(high)) < 10:  # noqa: PLR2004  two figures either way
        return f"{_short(value)} % ({_short(low)} to {_short(high)})"
    return f"{value:.0f} % ({low:.0f} to {high:.0f})"


def _short(value: float) -> str:
    """Give one decimal, and no minus before a nought."""
    return f"{round(value, 1) + 0.0:.1f}"
