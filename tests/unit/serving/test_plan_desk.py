"""The order in which what answers is changed."""

from __future__ import annotations

import asyncio

import pytest

from feasible.errors import FeasibleError, LedgerError, PlanError
from feasible.schema import LivePlans, PlanChange
from feasible.serving import PlanDesk, PlanOrder

PROMOTE = PlanOrder(act="promote", actor="a test", plan="new")


class Told:
    """Processes that answer, which note what they are told and fail where they should."""

    def __init__(self, fault: FeasibleError | None = None, *, at: str = "") -> None:
        self.told: list[str] = []
        self._fault, self._at = fault, at

    async def prepare(self, live: LivePlans) -> None:
        """Load."""
        self._note(f"prepare {live.stable}")

    async def record(self, change: PlanChange, actor: str) -> None:
        """Put on record."""
        self._note(f"record {change.live.stable} by {actor}")

    async def switch(self, live: LivePlans) -> None:
        """Change over."""
        self._note(f"switch {live.stable}")

    async def drop_prepared(self) -> None:
        """Let go."""
        self._note("drop")

    def _note(self, what: str) -> None:
        self.told.append(what)
        if self._fault is not None and what.split(maxsplit=1)[0] == self._at:
            raise self._fault


def test_a_plan_is_on_record_before_anybody_decides_by_it() -> None:
    """It is loaded first of all, so that what is on record does answer."""
    told = Told()
    desk = PlanDesk(LivePlans(stable="old"), told)

    assert asyncio.run(desk.change(PROMOTE)).stable == "new"
    assert told.told == ["prepare new", "record new by a test", "switch new"]


@pytest.mark.parametrize(
    ("at", "fault"),
    [("prepare", PlanError("it does not fit")), ("record", LedgerError("the disk is full"))],
)
def test_a_plan_that_is_not_loaded_or_not_on_record_answers_nothing(
    at: str, fault: FeasibleError
) -> None:
    """The old one goes on, and what was loaded is let go."""
    told = Told(fault, at=at)
    desk = PlanDesk(LivePlans(stable="old"), told)
    with pytest.raises(type(fault)):
        asyncio.run(desk.change(PROMOTE))

    assert desk.live == LivePlans(stable="old")
    assert told.told[-1] == "drop"
    assert "switch new" not in told.told
