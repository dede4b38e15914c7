"""A card-fraud stream whose labels come late and where only some can come at all. Synthetic.

Frozen: it was committed before the estimator that is measured on it was tuned, and a test holds it
to a digest. Whoever changes it starts the measurement of recall anew.

About 40,000 decisions a day for 120 days. A score is the chance of fraud, nearly: each world is
miscalibrated a little, and every day has a luck of its own. What scores .5 or more is blocked, and
a blocked payment is never reported; 2 % of them are let through, picked at random. A fraud that
went through is reported after a lognormal time of days to weeks. About 200 decisions a day are
audited: picked at random within eight strata of the score, answered on the day after. On a day
that nobody is told, a new pattern begins: a share of all payments that scores low is fraud too.

The fast form: rows with the same score are counted, not kept, so scores are those of a grid. All
draws are those of single rows: binomial, hypergeometric, and one delay for each fraud.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import beta

__all__ = [
    "AUDIT_DAYS",
    "BLOCK_AT",
    "DAYS",
    "EDGES",
    "LET_THROUGH",
    "WINDOW",
    "World",
    "make_world",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAYS: Final = 120
WINDOW: Final = 7
"""The question at the start of day t is about the decisions of the days t - 7 to t - 1."""
BLOCK_AT: Final = 0.5
LET_THROUGH: Final = 0.02
AUDIT_DAYS: Final = 1
"""Days after the day of the decision, at the end of which its audit is answered."""
EDGES: Final = np.array([0.0, 0.002, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
"""Of the strata of the score in which audits are drawn."""
_PER_DAY: Final = 40_000
_WEEK: Final = np.array([1.05, 1.0, 0.98, 1.0, 1.1, 1.02, 0.85])
_AUDITS_PER_DAY: Final = 200
_FLOOR: Final = 0.25
"""Share of the audits that all strata get alike; the rest goes by size and spread."""
_FIRST_DRIFT, _LAST_DRIFT = 50, 69


@dataclass(frozen=True)
class World:
    """One world, with its truth.

    Attributes:
        score: shape (n_cells,). The grid.
        stratum: shape (n_cells,). Which stratum a score is of.
        blocked: shape (n_cells,).
        rows: shape (DAYS, n_cells). Decisions.
        fraud: shape (DAYS, n_cells). Truth: frauds among them.
        explored: shape (DAYS, n_cells). Blocked, but let through at random.
        audited: shape (DAYS, n_cells). Audited decisions.
        audit_fraud: shape (DAYS, n_cells). Frauds among those.
        observable: shape (DAYS, n_cells). Not audited, and went through: a fraud is reported.
        reports: shape (n, 3). Of each fraud that is observable: day of the decision, cell, and lag:
            days from that day to the day on which the report comes.
        drift_day: Day on which the new pattern began.
        lag_cdf: shape (DAYS,). Truth: chance that a report has come by the end of a lag.
    """

    score: Floats
    stratum: Ints
    blocked: npt.NDArray[np.bool_]
    rows: Ints
    fraud: Ints
    explored: Ints
    audited: Ints
    audit_fraud: Ints
    observable: Ints
    reports: Ints
    drift_day: int
    lag_cdf: Floats

    def recall(self, day: int) -> float:
        """Give the true recall of the `WINDOW` days before a day."""
        found = self.fraud[day - WINDOW : day]
        return float(found[:, self.blocked].sum() / found.sum())


def _grid() -> tuple[Floats, Floats]:
    """Give the scores of the grid and how often each is met."""
    edges = np.unique(
        np.concatenate([[0.0], np.geomspace(1e-6, 0.1, 30), np.linspace(0.1, 1.0, 37), EDGES])
    )
    mass = np.zeros(len(edges) - 1)
    moment = np.zeros(len(edges) - 1)
    for share, a, b in ((0.994, 0.05, 12.0), (0.006, 5.0, 2.0)):
        mass += share * np.diff(beta.cdf(edges, a, b))
        moment += share * a / (a + b) * np.diff(beta.cdf(edges, a + 1, b))
    return moment / mass, mass / mass.sum()


_SCORE, _MASS = _grid()


def make_world(seed: int) -> World:
    """Draw one world; the same seed is the same world."""
    rng = np.random.default_rng([20_261_201, seed])
    stratum = np.digitize(_SCORE, EDGES[1:-1]).astype(np.int64)
    blocked = _SCORE >= BLOCK_AT
    week = np.tile(_WEEK, DAYS // 7 + 1)[:DAYS]
    rows = rng.poisson(_PER_DAY * week[:, None] * _MASS)

    drift_day = int(rng.integers(_FIRST_DRIFT, _LAST_DRIFT + 1))
    new_share, new_below = rng.uniform(0.0015, 0.0045), rng.choice([0.1, 0.3])
    logit = np.log(_SCORE / (1 - _SCORE))
    logit = rng.normal(0.0, 0.1) + rng.normal(1.0, 0.02) * logit
    luck = rng.gamma(400.0, 1 / 400.0, DAYS)
    rate = np.minimum(luck[:, None] / (1 + np.exp(-logit)), 0.999)
    is_new = (np.arange(DAYS) >= drift_day)[:, None] & (new_below > _SCORE)
    rate = np.where(is_new, 1 - (1 - rate) * (1 - new_share), rate)
    fraud = rng.binomial(rows, rate)

    audited = rng.binomial(rows, _audit_share(stratum))
    audit_fraud = rng.hypergeometric(fraud, rows - fraud, audited)
    left, left_fraud = rows - audited, fraud - audit_fraud
    explored = np.where(blocked, rng.binomial(left, LET_THROUGH), 0)
    explored_fraud = rng.hypergeometric(left_fraud, left - left_fraud, explored)
    observable = np.where(blocked, explored, left)
    reported = np.where(blocked, explored_fraud, left_fraud)

    median, sigma = rng.uniform(8.0, 12.0), rng.uniform(0.6, 0.8)
    day, cell = (np.repeat(index, reported[reported > 0]) for index in np.nonzero(reported))
    within = rng.random(len(day))
    lag = np.floor(within + rng.lognormal(np.log(median), sigma, len(day))).astype(np.int64)
    return World(
        score=_SCORE,
        stratum=stratum,
        blocked=blocked,
        rows=rows,
        fraud=fraud,
        explored=explored,
        audited=audited,
        audit_fraud=audit_fraud,
        observable=observable,
        reports=np.column_stack([day, cell, lag]),
        drift_day=drift_day,
        lag_cdf=_lag_cdf(median, sigma),
    )


def _audit_share(stratum: Ints) -> Floats:
    """Give the logged chance of each score to be audited."""
    strata = len(EDGES) - 1
    size = np.bincount(stratum, _PER_DAY * _MASS, strata)
    spread = np.bincount(stratum, _PER_DAY * _MASS * np.sqrt(_SCORE * (1 - _SCORE)), strata)
    wanted = _AUDITS_PER_DAY * ((1 - _FLOOR) * spread / spread.sum() + _FLOOR / strata)
    share: Floats = np.minimum(1.0, wanted / size)
    return share[stratum]


def _lag_cdf(median: float, sigma: float) -> Floats:
    """Give the chance that a delay ends within a lag, for a decision at any time of its day."""
    begin = (np.arange(200) + 0.5) / 200
    age = np.arange(1, DAYS + 1)[:, None] - begin
    by_time: Floats = ndtr((np.log(age) - np.log(median)) / sigma)
    cdf: Floats = by_time.mean(axis=1)
    return cdf
