"""From which score on a cache may answer, so that its hits keep a promised precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.schema import FloatArray
from feasible.schema.profile import BoolArray
from feasible.stats import binomial_p_value, lower_bound

__all__ = ["HitCertificate", "ScoredPairs", "certify_hits"]

_CANDIDATES: Final = 60


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Stored answers that a cache would give to new questions.

    Attributes:
        score: What the cache scored its best hit, shape (n_pairs,); NaN where it abstained.
        right: Whether that answer is right for the new question, shape (n_pairs,).
    """

    score: FloatArray
    right: BoolArray

    def hits(self, threshold: float) -> tuple[int, int]:
        """Give how many pairs score at least so much, and how many of those are wrong."""
        hit = self.score >= threshold  # NaN is not
        return int(hit.sum()), int((hit & ~self.right).sum())


@dataclass(frozen=True, slots=True)
class HitCertificate:
    """A threshold and what was shown about it.

    Attributes:
        threshold: The cache answers from this score on.
        precision: What was asked of hits. Ratio.
        confidence_level: Chance of no false certificate. Ratio.
        pairs: Pairs that judged. Count.
        hits: Of those, how many the cache would have answered. Count.
        wrong: Of those, how many wrongly. Count.
        precision_bound: One-sided lower bound on the precision of hits. Ratio.
    """

    threshold: float
    precision: float
    confidence_level: float
    pairs: int
    hits: int
    wrong: int
    precision_bound: float


def certify_hits(
    search: ScoredPairs,
    certify: ScoredPairs,
    *,
    precision: float = 0.99,
    confidence_level: float = 0.95,
) -> HitCertificate | None:
    """Choose the lowest threshold whose hits keep the precision, and show it on other pairs.

    The search pairs alone decide which thresholds are tested and in which order: first the one most
    likely to pass, then lower and lower ones until one fails. The certifying pairs test each once,
    so that the chance of a false certificate stays below 1 - `confidence_level` however many are
    tested. It holds for pairs drawn like the certifying ones, independent of each other.

    Args:
        search: Pairs that choose.
        certify: Other pairs, which do nothing but judge.
        precision: Share of hits that must be right. Ratio in (0, 1).
        confidence_level: 1 - delta. Ratio in (0, 1).

    Returns:
        The certificate; None when no threshold can be shown to keep the precision. At 99 % and a
        confidence level of 95 %, 299 hits without a miss are the fewest that can.

    Raises:
        ValueError: A ratio is out of range, or scores and outcomes differ in number.

    Source:
        The exact binomial test, Clopper and Pearson (1934); testing in a fixed sequence: Bauer
        (1991), as learn-then-test of Angelopoulos et al. (2021) uses it.

    Examples:
        >>> good = ScoredPairs(np.linspace(0, 1, 1000), np.linspace(0, 1, 1000) > 0.5)
        >>> found = certify_hits(good, good)
        >>> found.wrong, found.hits > 450, found.threshold > 0.49
        (0, True, True)
    """
    for ratio in (precision, confidence_level):
        if not 0 < ratio < 1:
            raise ValueError(f"a precision and a confidence level lie between 0 and 1; not {ratio}")
    for pairs in (search, certify):
        if pairs.score.shape != pairs.right.shape:
            raise ValueError(f"{pairs.score.shape} scores for {pairs.right.shape} outcomes")
    limit, delta = round(1 - precision, 12), 1 - confidence_level
    passed = None
    for threshold in _sequence(search, len(certify.score), limit):
        hits, wrong = certify.hits(threshold)
        if not hits or binomial_p_value(wrong, hits, limit=limit) > delta:
            break
        passed = threshold, hits, wrong
    if passed is None:
        return None
    threshold, hits, wrong = passed
    bound = lower_bound(hits - wrong, hits, confidence_level=confidence_level)
    return HitCertificate(
        threshold, precision, confidence_level, len(certify.score), hits, wrong, bound
    )


def _sequence(search: ScoredPairs, n_certify: int, limit: float) -> list[float]:
    """Give the thresholds in the order of testing."""
    scores = search.score[~np.isnan(search.score)]
    if not len(scores):
        return []
    shares = np.linspace(0, 1, _CANDIDATES)
    candidates = np.unique(np.quantile(scores, shares, method="higher"))[::-1]
    grown = n_certify / len(search.score)
    expected = []
    for threshold in candidates:
        hits, wrong = search.hits(float(threshold))
        # As many certifying pairs would hit, and one more would be wrong than is expected.
        n = round(hits * grown)
        expected.append(binomial_p_value(min(n, round(wrong * grown) + 1), n, limit=limit))
    first = int(np.argmin(expected))
    return [float(threshold) for threshold in candidates[first:]]
