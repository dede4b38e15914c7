"""What is known of recall, precision and the cost of errors before most labels have come.

Decisions are grouped into strata of their probability, and counted by day. In a stratum the rate of
the events (here: frauds, or whatever the class of interest is) is a factor on the probabilities
that the model gave. Reports speak of it, each with the share of reports that can have come by now;
so do audits, which are a fair sample of their stratum whatever was done. The factor may change on
any day, and how recently it may have changed is part of what is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.schema import BoolArray, FloatArray
from feasible.stats import GammaPrior, draw_regimes

__all__ = ["TOO_FRESH", "Estimate", "Estimates", "Tallies", "estimate_unlabelled", "recall_bounds"]

_DRAWS: Final = 600
_HAZARD: Final = 1 / 70
"""Chance a day that the rate of a stratum changes. More than happens, on purpose: on the first days
of a change nothing can show it, and only what was believed beforehand keeps the interval honest."""
_CALIBRATED: Final = 20.0
"""Shape of the prior of a calibrated model's factor: within 1 +- .45, 19 times of 20."""
_CHANGED: Final = 0.5
"""Shape of the prior after a change: hardly anything is believed."""
_FRESH_DAYS: Final = 4
TOO_FRESH: Final = 0.5
"""Chance that a change has just begun above which no figure is given."""
_TOO_WIDE: Final = 0.3
"""Width of the interval of recall from which on no figure is given."""
_LOW, _HIGH = 0.025, 0.975


@dataclass(frozen=True, slots=True)
class Tallies:
    """Decisions by day and stratum, with what is known of them at one time.

    Every array has the shape (n_days, n_strata), oldest day first, but for `acted`.

    Attributes:
        acted: shape (n_strata,). The model's answer in a stratum is the class (blocked).
        rows: Decisions.
        expected: Sum of their probabilities.
        open_rows: Those whose label would come of itself: not audited, and not kept from showing
            by what was done. In a stratum they are a random part, or all of it.
        arrived: Chance that a label of that day has come by now. shape (n_days,).
        reports: Events that came of themselves by now.
        audited: Decisions whose audit is known.
        audited_events: Events among those.
    """

    acted: BoolArray
    rows: FloatArray
    expected: FloatArray
    open_rows: FloatArray
    arrived: FloatArray
    reports: FloatArray
    audited: FloatArray
    audited_events: FloatArray


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure that is not known yet, with what is believed of it.

    Attributes:
        value: Median of what is believed.
        low: Lower end of the interval at 95 %.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimates:
    """What is believed of a window of days.

    Attributes:
        recall: Share of the events that were acted on.
        precision: Share of what was acted on that were events.
        missed: Events that were not acted on. Count.
        needless: Actions on what was no event. Count.
        cost_usd: What both kinds of errors cost; None where their prices are not given.
        fresh: For the stratum where it is largest, the chance that a regime began in the latest
            days, about which little can have come yet.
    """

    recall: Estimate
    precision: Estimate
    missed: Estimate
    needless: Estimate
    cost_usd: Estimate | None
    fresh: float

    @property
    def tells(self) -> bool:
        """Claim that there is an answer; without one the honest answer is that nobody can tell."""
        return self.fresh < TOO_FRESH and self.recall.high - self.recall.low < _TOO_WIDE


def estimate_unlabelled(
    tallies: Tallies,
    *,
    window: int,
    rng: np.random.Generator,
    usd: tuple[float, float] | None = None,
    hazard: float = _HAZARD,
) -> Estimates:
    """Estimate recall, precision and errors of the latest days from late and selective labels.

    Args:
        tallies: What is known.
        window: Latest days that are asked about. Count.
        rng: Where the luck of the draws comes from.
        usd: What a missed event and a needless action cost. Dollars each.
        hazard: Chance a day that the rate of a stratum changes.
    """
    mean_p = tallies.expected / np.maximum(tallies.rows, 1.0)
    by_now = mean_p * tallies.arrived[:, None]
    # A Poisson count has more luck in it than a share of rows: by 1 / (1 - share).
    open_weight, audit_weight = 1 / (1 - by_now), 1 / (1 - mean_p)
    typical = tallies.expected.sum(axis=0) / np.maximum(tallies.rows.sum(axis=0), 1.0)
    base = tallies.expected.sum() / max(tallies.rows.sum(), 1.0)
    drawn = draw_regimes(
        tallies.reports * open_weight + tallies.audited_events * audit_weight,
        by_now * tallies.open_rows * open_weight + mean_p * tallies.audited * audit_weight,
        first=GammaPrior(_CALIBRATED, 1.0),
        later=GammaPrior(_CHANGED, 1.0 + base / typical),
        hazard=hazard,
        tail=window,
        draws=_DRAWS,
        rng=rng,
    )
    known = (tallies.reports + tallies.audited_events)[-window:].sum(axis=0)
    found = known + _unseen(tallies, drawn.rate * mean_p[-window:], window=window, rng=rng)
    caught, every = found[:, tallies.acted].sum(axis=1), found.sum(axis=1)
    acted = tallies.rows[-window:, tallies.acted].sum()
    missed, needless = every - caught, acted - caught
    return Estimates(
        recall=_estimate(caught / np.maximum(every, 1)),
        precision=_estimate(caught / max(acted, 1.0)),
        missed=_estimate(missed),
        needless=_estimate(needless),
        cost_usd=None if usd is None else _estimate(usd[0] * missed + usd[1] * needless),
        fresh=float(drawn.began_chance[:, -_FRESH_DAYS:].sum(axis=1).max()),
    )


def recall_bounds(tallies: Tallies, *, window: int) -> tuple[float, float]:
    """Give what recall can be where nothing that was acted on is ever looked at: bounds, no figure.

    Without audits and without a share that is let through, everything that was acted on may have
    been an event, or nothing of it. Of what was not acted on only what is known counts, so the
    upper bound holds for whatever is still to come.

    Args:
        tallies: What is known.
        window: Latest days that are asked about. Count.
    """
    known = (tallies.reports + tallies.audited_events)[-window:].sum(axis=0)
    caught, missed = known[tallies.acted].sum(), known[~tallies.acted].sum()
    rows = tallies.rows[-window:].sum(axis=0)
    at_most = rows[tallies.acted].sum()
    not_acted = rows[~tallies.acted].sum() - tallies.audited[-window:][:, ~tallies.acted].sum()
    fewest = caught / max(caught + missed + not_acted, 1.0)
    most = at_most / max(at_most + missed, 1.0)
    return float(fewest), float(most)


def _unseen(
    tallies: Tallies, rate: FloatArray, *, window: int, rng: np.random.Generator
) -> FloatArray:
    """Draw the events that are not known yet, shape (n_draws, n_strata)."""
    rate = np.minimum(rate, 1.0)
    come = tallies.arrived[-window:, None]
    still_open = (tallies.open_rows - tallies.reports)[-window:]
    hidden = (tallies.rows - tallies.open_rows - tallies.audited)[-window:]
    late = rate * (1 - come) / np.maximum(1 - rate * come, 1e-12)
    more = rng.binomial(np.maximum(still_open, 0).astype(np.int64), np.minimum(late, 1.0))
    more += rng.binomial(np.maximum(hidden, 0).astype(np.int64), rate)
    out: FloatArray = more.sum(axis=1).astype(np.float64)
    return out


def _estimate(draws: FloatArray) -> Estimate:
    low, value, high = np.quantile(draws, [_LOW, 0.5, _HIGH])
    return Estimate(float(value), float(low), float(high))
