"""Candidates, how likely they are to be certified, and the order in which they are tested.

Everything here rests on SEARCH rows and on the number of CERT rows, never on what these say.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from feasible.planning.chain import Chain
from feasible.stats import binomial_quantile

__all__ = ["Candidate", "Margin", "frontier_of", "margin_of"]

_AMPLE: Final = 6.0
"""Normal score beyond which more is no likelier in practice."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One policy and how it did on SEARCH rows.

    Attributes:
        chain: Its order of tiers.
        thresholds: Tier -> group -> threshold.
        cost_usd: Mean per decision on the declared traffic mix, people included.
        slack: Objective id -> standardised distance from its limit, as the certificate will see it.
        margin: Objective id -> how likely as many fresh rows are to show the promise, as a normal
            score: 0 is one in two.
    """

    chain: Chain
    thresholds: dict[str, dict[str, float]]
    cost_usd: float
    slack: dict[str, float]
    margin: dict[str, float] = field(default_factory=dict)

    @property
    def least_slack(self) -> float:
        """Give the smallest standardised slack over all objectives."""
        return min(self.slack.values(), default=math.inf)

    def least_over(self, names: Collection[str]) -> float:
        """Give the smallest standardised slack over some objectives."""
        return min((self.slack[name] for name in names if name in self.slack), default=math.inf)


@dataclass(frozen=True, slots=True)
class Margin:
    """How likely a policy is to be shown to keep one promise, as a normal score.

    Both sides have luck: the share was seen on some rows, and others will judge it. The scale on
    which a share's luck does not depend on the share is the arc sine of its root.

    Attributes:
        far: Largest share that passes on the rows that judge, on that scale; None for a mean that
            is no share, -1 for a promise that no number of misses can show.
        n_search: Rows that the share was seen on. Count.
        n_cert: Rows that will judge. Count.
        short: What a mean that is no share needs of slack. Standard errors.
        per_threshold: Misses that each threshold hides, as a share of the rows.

    Source:
        Anscombe (1948), Biometrika 35(3/4), on the transformation.
    """

    far: float | None
    n_search: int
    n_cert: int
    short: float
    per_threshold: float

    @classmethod
    @functools.lru_cache(maxsize=256)
    def of_share(
        cls, limit: float, level: float, n_search: int, n_cert: int, per_threshold: float = 0.0
    ) -> Margin:
        """Work out what passes.

        Args:
            limit: Largest share allowed. Ratio in (0, 1).
            level: Confidence level at which it has to be shown.
            n_search: Rows that it was seen on. Count, > 0.
            n_cert: Rows that will judge. Count, > 0.
            per_threshold: Misses that each threshold hides, as a share of the rows.
        """
        allowed = binomial_quantile(1 - level, n_cert, limit) - 1
        far = -1.0 if allowed < 0 else 2 * math.asin(math.sqrt((allowed + 0.5) / n_cert))
        return cls(far, n_search, n_cert, 0.0, per_threshold)

    def of(self, mean: float | None, slack: float, placed: int) -> float:
        """Give 0 when one attempt in two succeeds, 1.64 when 19 in 20 do.

        Args:
            mean: Share of rows that miss, as far as is known. Ratio; None when no row judges.
            slack: Standardised distance from the limit, for a mean that is no share.
            placed: Thresholds that were placed on the rows.
        """
        if mean is None:
            return -_AMPLE
        if self.far is None:
            return min(slack - self.short, _AMPLE)
        if self.far < 0:
            return -_AMPLE
        share = min(max(mean + self.per_threshold * placed, 0.0), 1.0)
        near = 2 * math.asin(math.sqrt(share))
        spread = math.sqrt(1 / self.n_search + 1 / self.n_cert)
        return min(_AMPLE, max(-_AMPLE, (self.far - near) / spread))


def margin_of(
    mean: float, *, limit: float, confidence_level: float, n_search: int, n_cert: int
) -> float:
    """Give how likely fresh rows are to show that a share is below its limit, as a normal score.

    Examples:
        >>> rows = {"limit": 0.05, "confidence_level": 0.95}
        >>> round(margin_of(0.01, **rows, n_search=150, n_cert=180), 2)
        0.72
        >>> round(margin_of(0.01, **rows, n_search=1500, n_cert=1800), 2)
        5.99
    """
    return Margin.of_share(limit, confidence_level, n_search, n_cert).of(mean, 0.0, 0)


def frontier_of(
    candidates: list[Candidate], quality: Callable[[Candidate], float | None]
) -> list[tuple[Candidate, float]]:
    """Give the candidates that no other beats at once in cost and quality, cheapest first."""
    scored = [(c, q) for c in candidates if (q := quality(c)) is not None]
    scored.sort(key=lambda item: (item[0].cost_usd, -item[1]))
    out: list[tuple[Candidate, float]] = []
    for candidate, value in scored:
        if not out or value > out[-1][1] + 1e-9:
            out.append((candidate, value))
    return out
