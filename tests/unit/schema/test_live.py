from __future__ import annotations

import msgspec
import pytest

from feasible.errors import BadInput, PlanError
from feasible.schema import LivePlans, PlanChange, PlanShare, changed


def test_a_promoted_canary_answers_everything_and_can_be_taken_back() -> None:
    """Promote needs no name while there is a canary; a rollback returns what was live before."""
    live = changed(LivePlans(stable="a"), "canary", plan="b", share=0.1)
    promoted = changed(live, "promote")

    assert live.canary == PlanShare(plan="b", share=0.1)
    assert promoted == LivePlans(stable="b", earlier=("a",))
    assert changed(promoted, "rollback") == LivePlans(stable="a")


def test_a_rollback_ends_a_canary_first() -> None:
    """What answers goes back to what it was before the canary, and only then further."""
    live = LivePlans(stable="b", canary=PlanShare(plan="c", share=0.5), earlier=("a",))

    once = changed(live, "rollback")
    assert once == LivePlans(stable="b", earlier=("a",))
    assert changed(once, "rollback").stable == "a"


def test_a_shadow_outlives_a_change_unless_it_answers_itself() -> None:
    """Nobody is asked twice."""
    live = changed(LivePlans(stable="a"), "shadow", plan="b", share=1, usd_per_day=1)

    assert changed(live, "promote", plan="c").shadow == live.shadow
    assert changed(live, "promote", plan="b").shadow is None
    assert changed(live, "canary", plan="b", share=0.5).shadow is None
    assert changed(live, "stop") == LivePlans(stable="a")


@pytest.mark.parametrize("share", [None, 0.0, -0.1, 1.5, float("nan")])
def test_a_share_is_a_share(share: float | None) -> None:
    """More than nothing, and no more than everything."""
    with pytest.raises(BadInput, match="share of the requests"):
        changed(LivePlans(stable="a"), "canary", plan="b", share=share)


@pytest.mark.parametrize("usd", [-1.0, float("nan"), float("inf"), 1e7])
def test_what_a_shadow_may_cost_is_a_sum_of_money(usd: float) -> None:
    """A limit that is none would let a shadow spend without end, or stop its service."""
    with pytest.raises(BadInput, match="a sum of money"):
        changed(LivePlans(stable="a"), "shadow", plan="b", share=0.5, usd_per_day=usd)


def test_what_cannot_be_done_is_refused() -> None:
    """Nothing to promote, nothing to return to, or the plan that answers already."""
    live = LivePlans(stable="a")
    for act, plan in (("promote", None), ("promote", "a"), ("rollback", None)):
        with pytest.raises(PlanError):
            changed(live, act, plan=plan)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="stable one already"):
        changed(live, "canary", plan="a", share=0.5)


def test_a_change_survives_the_ledger() -> None:
    """What an event holds reads back as what was written."""
    live = changed(LivePlans(stable="a", earlier=("z",)), "canary", plan="b", share=0.1)
    change = PlanChange(act="canary", live=live, was=LivePlans(stable="a"), why="a test")

    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(change.body())), PlanChange) == (
        change
    )
