"""The certificate: rows that nothing was chosen on judge the candidates in a fixed order.

A candidate passes when every objective passes at its own level; the walk goes from the safest
candidate towards cheaper ones and stops at the first that fails. Testing in an order fixed
beforehand needs no correction for the number of candidates (Angelopoulos et al., Learn then Test,
arXiv 2110.01052), and a promise that is a conjunction needs none for the number of objectives
(intersection-union).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from feasible.planning.candidates import Candidate
from feasible.planning.constraint import Constraint, Exits, percentile_of
from feasible.planning.judgement import MeanTest, Verdict, verdict_on
from feasible.planning.own_units import dearest_usd, own_limit
from feasible.planning.sheet import Sheet
from feasible.schema import AnsweredBy, CertificateLine, FloatArray, IntArray
from feasible.stats import quantile_upper_bound

__all__ = ["Judged", "certify", "certify_in_part", "judge"]

_ASSUMPTION = "the traffic to come is exchangeable with the rows that judge"
_MIX = "slice by slice, with the slices in their declared shares"
_CHANCES = "labels were asked for with the logged chances, none below the least seen in other rows"
_ENTITIES = "entity by entity: rows of one entity may depend on each other"


_STILL_LIKELY: Final = 1.0
"""Standard errors of slack that a promise which cannot be shown keeps on SEARCH rows."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate on the rows that judge.

    Attributes:
        candidate: The policy.
        sheet: The rows.
        exit_of_row: shape (n_rows,).
        held: Ids of the objectives that are shown to hold.
        tests: Objective id -> what judges it, for means that are not judged by bets.
    """

    candidate: Candidate
    sheet: Sheet
    exit_of_row: IntArray
    held: frozenset[str]
    tests: Mapping[str, MeanTest] = field(default_factory=dict)

    @property
    def exits(self) -> Exits:
        """Give what rows would get at each exit."""
        return self.sheet.exits(self.candidate.chain, self.candidate.thresholds)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """Give every promise as losses at these exits."""
        return self.sheet.constraints(self.candidate.chain, self.candidate.thresholds)

    @property
    def passed(self) -> bool:
        """Claim that every objective is shown to hold."""
        return all(c.id in self.held for c in self.constraints)

    def verdict(self, constraint: Constraint, *, level: float | None = None) -> Verdict:
        """Judge one promise, at its own level unless another is asked for."""
        level = constraint.objective.confidence_level if level is None else level
        return _verdict(constraint, self.exit_of_row, level, self.tests)

    def lines(self) -> tuple[CertificateLine, ...]:
        """Give what was shown, one line per objective, with its bound."""
        return tuple(
            _line(
                constraint,
                self.exits,
                self.exit_of_row,
                self.verdict(constraint),
                self.sheet.profile.agreed_with,
            )
            for constraint in self.constraints
        )


def certify(
    sequence: Sequence[Candidate], cert: Sheet, tests: Mapping[str, MeanTest] = MappingProxyType({})
) -> tuple[Judged, ...]:
    """Walk the sequence and stop at the first candidate that fails.

    Args:
        sequence: Candidates in an order fixed on SEARCH rows.
        cert: Rows that nothing was chosen on.
        tests: Objective id -> what judges it, for means that are not judged by bets; fixed on
            SEARCH rows.

    Returns:
        Those that passed, in order, and the one that failed, if any, last.
    """
    out: list[Judged] = []
    for candidate in sequence:
        judged = judge(candidate, cert, tests)
        out.append(judged)
        if not judged.passed:
            break
    return tuple(out)


def certify_in_part(
    sequence: Sequence[Candidate], cert: Sheet, tests: Mapping[str, MeanTest] = MappingProxyType({})
) -> Judged | None:
    """Walk the sequence again for the promises that the safest candidate keeps.

    Each of these promises alone is tested along the fixed order until the walk stops, so that each
    line keeps its own confidence level although the promises were picked by looking. The walk also
    stops, on what SEARCH rows said, where a promise that cannot be shown would be given up.

    Returns:
        The cheapest candidate of the walk; None when the safest one keeps no promise at all.
    """
    first = judge(sequence[0], cert, tests)
    if not first.held:
        return None
    aimed = [name for name in first.candidate.slack if name not in first.held]
    least = min(_STILL_LIKELY, first.candidate.least_over(aimed))
    last = first
    for candidate in sequence[1:]:
        if candidate.least_over(aimed) < least:
            break
        judged = judge(candidate, cert, tests)
        if not first.held <= judged.held:
            break
        last = judged
    return last


def judge(
    candidate: Candidate, cert: Sheet, tests: Mapping[str, MeanTest] = MappingProxyType({})
) -> Judged:
    """Test every objective of one candidate on the rows that judge."""
    leaves = cert.leaves(candidate.chain, candidate.thresholds)
    held = frozenset(
        c.id
        for c in cert.constraints(candidate.chain, candidate.thresholds)
        if _verdict(c, leaves, c.objective.confidence_level, tests).holds
    )
    return Judged(candidate, cert, leaves, held, tests)


def _verdict(
    constraint: Constraint, leaves: IntArray, level: float, tests: Mapping[str, MeanTest]
) -> Verdict:
    test = tests.get(constraint.id, "betting")
    return verdict_on(constraint, leaves, level, mean_test=test)


def _line(
    constraint: Constraint,
    exits: Exits,
    exit_of_row: IntArray,
    verdict: Verdict,
    agreed_with: str | None,
) -> CertificateLine:
    objective = constraint.objective
    agreed_with = agreed_with if objective.kind == "quality" else None
    level = objective.confidence_level
    value = constraint.value(exit_of_row)
    n = constraint.n(exit_of_row)
    is_mean = objective.kind in {"cost", "latency"} and not constraint.is_binary
    misses = 0.0 if is_mean else constraint.misses(exit_of_row)
    shown = _shown(constraint, exits, exit_of_row, value, verdict.bound, level)
    return CertificateLine(
        objective=objective.id,
        limit=own_limit(objective),
        unit=shown.unit,
        is_ceiling=objective.is_ceiling,
        value=shown.value,
        bound=shown.bound,
        n=n,
        misses=round(misses, 6),
        confidence_level=level,
        method=verdict.method,
        assumption=_assumption(constraint, agreed_with),
        holds=verdict.holds,
        value_machines=_machines(constraint, exits, exit_of_row),
        note=None if constraint.is_bounded else _uncapped(constraint),
        agreement_with=agreed_with,
    )


def _uncapped(constraint: Constraint) -> str:
    if constraint.is_declared:
        return "asymptotic: at the declared price, which nothing enforces"
    top = constraint.scale / constraint.decisions
    most = f"${top:.4g}" if constraint.unit == "usd" else f"{top:.4g} ms"
    return f"asymptotic: no cap is enforced, and the bound takes none to be above {most}"


def _assumption(constraint: Constraint, agreed_with: str | None) -> str:
    parts = [_ASSUMPTION]
    parts += [_MIX] if constraint.is_weighted else []
    parts += [_ENTITIES] if constraint.block is not None else []
    parts += [str(constraint.size)] if constraint.size is not None else []
    parts += [_CHANCES] if constraint.heaviest is not None else []
    if constraint.without:
        names = ", ".join(f"`{name}`" for name in constraint.without)
        parts.append(f"of traffic without {names}, of which there is no row")
    if agreed_with is not None:
        parts += [f"an answer like that of `{agreed_with}` is agreement: nothing about being right"]
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class _Shown:
    value: float | None
    bound: float | None
    unit: str


def _shown(
    constraint: Constraint,
    exits: Exits,
    exit_of_row: IntArray,
    value: float | None,
    bound: float | None,
    level: float,
) -> _Shown:
    """Turn mean losses back into the objective's own terms."""
    objective = constraint.objective
    q = percentile_of(objective) if objective.kind == "latency" else None
    if q is not None:
        took = exits.latency_ms[np.arange(len(exit_of_row)), exit_of_row]
        return _percentile(constraint, took, exit_of_row, q, level)
    if objective.kind == "cost" and objective.measure == "each":
        # Serving asks no tier that would break the cap.
        cap = own_limit(objective) if bound == 0 else None
        return _Shown(dearest_usd(constraint, exits, exit_of_row), cap, "usd")
    if value is None:
        return _Shown(None, None, constraint.unit)
    scaled = value * constraint.scale
    limit = None if bound is None else bound * constraint.scale
    if objective.needs_labels and not objective.is_ceiling:
        return _Shown(1 - value, None if bound is None else 1 - bound, "ratio")
    return _Shown(scaled, limit, constraint.unit)


def _percentile(
    constraint: Constraint, took: FloatArray, exit_of_row: IntArray, q: float, level: float
) -> _Shown:
    """Give a percentile and its bound: the smallest time that the same test shows."""
    counted = constraint.counted(exit_of_row)
    if not counted.any():
        return _Shown(None, None, "ms")
    times = took[counted]
    if constraint.is_plain:
        high = quantile_upper_bound(times, q, confidence_level=level)
        return _Shown(float(np.quantile(times, q)), high, "ms")
    order = np.argsort(times, kind="stable")
    share = np.cumsum(constraint.weight[counted][order])
    at = min(int(np.searchsorted(share, q * share[-1])), len(times) - 1)
    distinct = np.unique(times)
    low, high_index = -1, len(distinct)
    while high_index - low > 1:
        middle = (low + high_index) // 2
        late = np.repeat((took > distinct[middle])[:, None], constraint.loss.shape[1], axis=1)
        shown = verdict_on(replace(constraint, loss=late.astype(float)), exit_of_row, level).holds
        low, high_index = (low, middle) if shown else (middle, high_index)
    bound = float(distinct[high_index]) if high_index < len(distinct) else None
    return _Shown(float(times[order[at]]), bound, "ms")


def _machines(constraint: Constraint, exits: Exits, exit_of_row: IntArray) -> float | None:
    """Give a quality figure for what machines answered alone."""
    objective = constraint.objective
    if not objective.needs_labels or objective.by is not AnsweredBy.ALL:
        return None
    rows = np.arange(len(exit_of_row))
    counted = constraint.counted(exit_of_row) & ~exits.is_person[rows, exit_of_row]
    weight = constraint.weight[counted]
    if not weight.sum():
        return None
    mean = float(np.average(constraint.loss[rows, exit_of_row][counted], weights=weight))
    return mean if objective.is_ceiling else 1 - mean
