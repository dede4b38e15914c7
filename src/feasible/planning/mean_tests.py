"""Which test judges a mean of bounded losses: the one that SEARCH rows expect to show more.

Bets pay where losses vary far less than their range allows. Where rows are few and losses lie near
0 and 1, the bets' first rows are spent on learning that, and Hoeffding-Bentkus shows more. Each is
valid by itself, and the choice looks at no row that certifies, so that the one chosen is valid too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from feasible.planning.candidates import Candidate
from feasible.planning.constraint import Constraint
from feasible.planning.judgement import MeanTest
from feasible.planning.sheet import Sheet
from feasible.schema import FloatArray
from feasible.stats import betting_p_value, hoeffding_bentkus_p_value

__all__ = ["mean_tests_for"]

_FEW: Final = 2_000
"""CERT rows from which on bets are as tight as can be, and nothing is weighed."""
_DRAWS: Final = 20
_WEIGHED: Final = 6
"""Candidates of a sequence on which the tests are compared at most."""
_STREAM: Final = 8_209
_LEAST: Final = 1e-12


def mean_tests_for(
    sequence: Sequence[Candidate], search: Sheet, *, n_cert: int
) -> dict[str, MeanTest]:
    """Choose, per promise about a mean, the test that draws of SEARCH rows show it by more often.

    Args:
        sequence: What is to be certified, in its order.
        search: SEARCH rows.
        n_cert: Rows that the certificate will have.

    Returns:
        Objective id -> test, for promises that are not judged by bets.
    """
    if n_cert > _FEW or not len(search):
        return {}
    at = np.unique(np.linspace(0, len(sequence) - 1, _WEIGHED).round().astype(np.int64))
    gains: dict[str, list[tuple[int, float]]] = {}
    for candidate in (sequence[int(i)] for i in at):
        leaves = search.leaves(candidate.chain, candidate.thresholds)
        for constraint in search.constraints(candidate.chain):
            losses = constraint.losses(leaves)
            n = round(len(losses) * n_cert / len(search))
            if _is_mean(constraint) and n:
                gains.setdefault(constraint.id, []).append(_gain(constraint, losses, n))
    return {
        name: "hoeffding_bentkus"
        for name, found in gains.items()
        if (sum(shown for shown, _ in found), sum(less for _, less in found)) > (0, 0.0)
    }


def _is_mean(constraint: Constraint) -> bool:
    """Claim that bets would judge independent rows of bounded losses that are not all 0 or 1."""
    is_judged = constraint.is_plain and constraint.is_bounded and 0 < constraint.limit < 1
    return is_judged and not constraint.is_binary and constraint.person_rate is None


def _gain(constraint: Constraint, losses: FloatArray, n: int) -> tuple[int, float]:
    """Say how much more Hoeffding-Bentkus shows than bets do, on draws of as many rows.

    Returns:
        Draws that it shows more; by how much its evidence is larger, for when both show as many.
    """
    limit, delta = constraint.limit, 1 - constraint.objective.confidence_level
    rng = np.random.default_rng([_STREAM, n])
    shown, larger = 0, 0.0
    for _ in range(_DRAWS):
        drawn = losses[rng.integers(0, len(losses), n)]
        by_bets = betting_p_value(drawn, limit=limit, delta=delta)
        by_mean = hoeffding_bentkus_p_value(float(drawn.mean()), n, limit=limit)
        shown += (by_mean <= delta) - (by_bets <= delta)
        larger += math.log(max(by_bets, _LEAST)) - math.log(max(by_mean, _LEAST))
    return shown, larger
