"""What happens next to a case, by `cascade.route` and by nothing else, each answer kept.

With no deadline, no cap and no tier that is closed, what a tier said to a row decides alone where
the row goes next, so that every row asks `route` once. Whatever depends on the moment asks it live.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feasible.cascade import Ask, Fallback, Finish, Move, Policy, Seen, State, route
from feasible.simulation.design import Cases

__all__ = ["FALL_BACK", "FINISH", "Live", "Moves"]

FINISH: Final = -1
"""The tier that was asked last answers."""
FALL_BACK: Final = -2
"""The fallback answers."""

_UNKNOWN: Final = -9
_FOR_LOAD: Final = frozenset({"blocked", "deadline"})


@dataclass(frozen=True, slots=True)
class Live:
    """What the moment adds to a state.

    Attributes:
        remaining_ms: Time left for the tiers; None: no deadline.
        remaining_usd: Money left of the case's cap; None: no cap.
        blocked: Names of tiers that may not be asked now.
    """

    remaining_ms: float | None = None
    remaining_usd: float | None = None
    blocked: frozenset[str] = frozenset()


_CALM: Final = Live()


class Moves:
    """The next move of each row.

    Args:
        policy: The table of tiers.
        cases: The rows.

    Attributes:
        answered: Per step, per row: the move once the step has spoken; -9 as long as nobody asked.
        failed: The same when the step gave nothing; per step and row.
        first: Per row: the first move.
    """

    def __init__(self, policy: Policy, cases: Cases) -> None:
        self._policy = policy
        self._cases = cases
        rows, steps = cases.table.answered.shape
        self._gated = [k for k, step in enumerate(policy.steps) if step.gated]
        self._said = cases.table.answered.tolist()
        self._probability = cases.table.probability.tolist()
        self.answered = [[_UNKNOWN] * rows for _ in range(steps)]
        self.failed = [[_UNKNOWN] * rows for _ in range(steps)]
        self.first = [_UNKNOWN] * rows

    def start(self, row: int) -> int:
        """Give the first move of a row, by its code: a position, FINISH or FALL_BACK."""
        code = self.first[row]
        if code == _UNKNOWN:
            code = self.first[row] = self.live(row, -1, _CALM)[0]
        return code

    def after(self, row: int, at: int) -> int:
        """Give the move after the step at this position has spoken."""
        code = self.answered[at][row]
        if code == _UNKNOWN:
            code = self.answered[at][row] = self.live(row, at, _CALM)[0]
        return code

    def after_failure(self, row: int, at: int) -> int:
        """Give the move after the step at this position has failed."""
        code = self.failed[at][row]
        if code == _UNKNOWN:
            code = self.failed[at][row] = self.live(row, at, _CALM, failed=True)[0]
        return code

    def live(self, row: int, at: int, now: Live, *, failed: bool = False) -> tuple[int, bool]:
        """Give the move at this moment, and whether a tier was passed over for time or load.

        Args:
            row: Which case.
            at: Position of the step that was asked last; -1 before the first.
            now: What is left, and who may not be asked.
            failed: Whether that step gave nothing.
        """
        move = route(
            self._policy,
            State(
                at=at,
                seen=None if at < 0 else self._seen(row, at, failed=failed),
                remaining_ms=now.remaining_ms,
                remaining_usd=now.remaining_usd,
                blocked=now.blocked,
                foreseen={self._policy.steps[k].name: self._foreseen(row, k) for k in self._gated},
            ),
        )
        return _coded(move)

    def _seen(self, row: int, at: int, *, failed: bool) -> Seen:
        if failed:
            return Seen("failed")
        if not self._said[row][at]:
            return Seen("abstained")
        probability = self._probability[row][at]
        known = probability == probability  # noqa: PLR0124  NaN is the one value unequal to itself
        group = self._cases.group[at][self._cases.group_of[at][row]]
        return Seen("answered", group, probability if known else None)

    def _foreseen(self, row: int, k: int) -> float:
        probability: float = self._probability[row][k]
        known = probability == probability  # noqa: PLR0124  the same
        return probability if known else -1.0


def _coded(move: Move) -> tuple[int, bool]:
    if isinstance(move, Finish):
        return FINISH, False
    passed_over = any(why in _FOR_LOAD for _, why in move.skipped)
    if isinstance(move, Fallback):
        return FALL_BACK, passed_over
    assert isinstance(move, Ask)  # noqa: S101  the third of three moves
    return move.position, passed_over
