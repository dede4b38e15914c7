"""How long a tier may take: one rule for one call and for many.

A call has until its own timeout or until the tiers' time is up, whichever comes first. One that
takes longer has failed: it took exactly that long, whatever it cost is spent, and nothing of its
answer is heard. The tiers' time ends before the deadline, so that the fallback and the commit still
fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from feasible.cascade.policy import Policy, Step
from feasible.schema.brief import TierKind
from feasible.schema.profile import BoolArray, FloatArray

__all__ = ["FALLBACK_SHARE", "Until", "longest_ms", "over", "over_all", "until_all", "until_of"]

_NO_DEADLINE_MS: Final = 30_000.0
"""Longest wait for one tier that declares no timeout, under a plan without a deadline."""
FALLBACK_SHARE: Final = 0.25
"""Most of a deadline that is kept back for the commit, and most for the fallback."""
_FALLBACK_MS: Final = 10.0
"""Least that is kept back for a fallback."""
_COMMIT_MS: Final = 25.0
"""What is kept back for a commit as long as no commit was slower."""


class Until(msgspec.Struct, frozen=True):
    """When time is up, in milliseconds since the request came in.

    Attributes:
        tiers_ms: For the tiers of the policy.
        fallback_ms: For the fallback, so that the commit still fits.
    """

    tiers_ms: float
    fallback_ms: float


def until_of(
    policy: Policy, fallback: str | None, deadline_ms: float, *, commit_ms: float = _COMMIT_MS
) -> Until:
    """Divide the time of one decision between the tiers, the fallback and the commit.

    Args:
        policy: The table.
        fallback: Who answers when the tiers' time is up; None: nobody.
        deadline_ms: Time for the whole decision.
        commit_ms: What the commit is expected to take.

    Examples:
        >>> table = Policy((Step("rules", TierKind.RULES, {"*": 0.9}, p95_ms=12.0),))
        >>> until_of(table, "rules", 200.0)
        Until(tiers_ms=163.0, fallback_ms=175.0)
    """
    last = deadline_ms - min(commit_ms, FALLBACK_SHARE * deadline_ms)
    if fallback is None:
        return Until(last, last)
    step = next((step for step in policy.steps if step.name == fallback), None)
    needs_ms = max(_FALLBACK_MS, 0.0 if step is None else step.needs_ms)
    return Until(last - min(needs_ms, FALLBACK_SHARE * deadline_ms), last)


def until_all(
    policy: Policy, slices: Mapping[str, BoolArray]
) -> tuple[float | FloatArray | None, float | None]:
    """Divide the time of many decisions: each has the fallback of its first slice with one.

    Returns:
        For the tiers, one number or shape (n_rows,); for the fallback. None without a deadline.
    """
    if policy.deadline_ms is None:
        return None, None
    usual = until_of(policy, policy.fallback.get("default"), policy.deadline_ms)
    tiers: float | FloatArray = usual.tiers_ms
    for name in reversed([name for name in slices if name in policy.fallback]):
        own = until_of(policy, policy.fallback[name], policy.deadline_ms)
        if own != usual:
            tiers = np.where(slices[name], own.tiers_ms, tiers)
        elif not isinstance(tiers, float):
            tiers = np.where(slices[name], usual.tiers_ms, tiers)
    return tiers, usual.fallback_ms


def longest_ms(step: Step, left_ms: float | None) -> float:
    """Give the longest that a call may take. Milliseconds.

    Args:
        step: The tier.
        left_ms: Time left; None without a deadline; NaN when unknown, which cuts nothing.
    """
    if left_ms is None:
        return _NO_DEADLINE_MS if step.timeout_ms is None else step.timeout_ms
    most = math.inf if step.timeout_ms is None else step.timeout_ms
    return most if math.isnan(left_ms) else min(left_ms, most)


def over(
    step: Step, waited_ms: float, took_ms: float, until_ms: float | None
) -> tuple[float, bool]:
    """Give when a call is over, and whether its answer came in time.

    Args:
        step: The tier.
        waited_ms: What was taken before.
        took_ms: What the call takes if nobody cuts it off; NaN when unknown, which is in time.
        until_ms: When the tiers' time is up; None without a deadline.

    Examples:
        >>> slow = Step("slow", TierKind.LLM, {"*": 0.5}, timeout_ms=150.0)
        >>> over(slow, 10.0, 100.0, 200.0), over(slow, 10.0, 5000.0, 200.0)
        ((110.0, True), (160.0, False))
        >>> over(slow, 90.0, 5000.0, 200.0)
        (200.0, False)
    """
    left_ms = None if until_ms is None else until_ms - waited_ms
    most = longest_ms(step, left_ms)
    if step.kind is TierKind.PERSON or not took_ms > most:  # handing over is not waited for
        return waited_ms + took_ms, True
    if until_ms is not None and most == left_ms:
        return until_ms, False  # to the last bit, so that nothing is left
    return waited_ms + most, False


def over_all(
    step: Step, waited_ms: FloatArray, took_ms: FloatArray, until_ms: float | FloatArray | None
) -> tuple[FloatArray, BoolArray | None]:
    """Give when each of many calls is over, and which came in time, as `over` gives each.

    Returns:
        shape (n_rows,) each; None for the second when all came in time.
    """
    if step.kind is TierKind.PERSON:
        return waited_ms + took_ms, None
    if until_ms is None:
        most = longest_ms(step, None)
        late = took_ms > most
        if not late.any():
            return waited_ms + took_ms, None
        return np.where(late, waited_ms + most, waited_ms + took_ms), ~late
    left_ms = until_ms - waited_ms
    most = math.inf if step.timeout_ms is None else step.timeout_ms
    late = took_ms > np.fmin(left_ms, most)
    ends = waited_ms + took_ms
    if not late.any():
        return ends, None
    cut = np.where(left_ms <= most, until_ms, waited_ms + most)
    return np.where(late, cut, ends), ~late
