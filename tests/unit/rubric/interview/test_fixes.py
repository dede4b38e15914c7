"""A spoken fix turns the knob that was named by as much as was claimed; it is simulated after."""

from __future__ import annotations

from pathlib import Path

import pytest

from feasible.rubric.interview.fixes import with_numbers
from feasible.schema import Fix, parse_brief

HEALTHY = (Path(__file__).parents[3] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
SPOKEN = HEALTHY.replace("    sets: {scorer.capacity: 100 / s}\n    gains: 2x\n", "")


def _fix(*, knob: str = "scorer.capacity", at_load: str = "1.4x", buys: str, change: str) -> Fix:
    text = SPOKEN.replace("knob: scorer.capacity", f"knob: {knob}").replace(
        "at_load: 2x", f"at_load: {at_load}"
    )
    text = text.replace("buys: twice the throughput", f"buys: {buys}")
    text = text.replace("change: a second replica", f"change: {change}")
    bottleneck = with_numbers(parse_brief(text).brief).bottleneck
    assert bottleneck is not None
    assert bottleneck.fix is not None
    return bottleneck.fix


@pytest.mark.parametrize(
    ("knob", "at_load", "buys", "change", "gains", "sets"),
    [
        # The load that is borne then, over the load that is borne today.
        ("scorer.capacity", "1.4x", "2.8x", "a replica", 2.0, {"scorer.capacity": "100 / s"}),
        # So many times more is a factor by itself.
        ("scorer.capacity", "1.4x", "2.5x", "2.5x more", 2.5, {"scorer.capacity": "125 / s"}),
        # Less of it is better: half the price, half the share.
        ("person.usd", "1x", "2x", "cheaper people", 2.0, {"person.usd": "$0.6"}),
        ("person.reach", "1x", "2x", "templates", 2.0, {"person.reach": "0.001"}),
        # From and to, in times.
        ("retrain.every", "1x", "from 24 hours to 1 hour", "an online model", 24.0, None),
        # Nothing that could be turned was named.
        ("scorer", "1x", "2x", "a replica", 2.0, {}),
        ("scorer.capacity", "1x", "a lot", "a replica", None, {}),
    ],
)
def test_a_claim_becomes_a_number(
    knob: str,
    at_load: str,
    buys: str,
    change: str,
    gains: float | None,
    sets: dict[str, str] | None,
) -> None:
    """Which number, how far, and in which direction."""
    fix = _fix(knob=knob, at_load=at_load, buys=buys, change=change)

    assert (None if fix.gains is None else fix.gains.mid) == gains
    if sets is not None:
        assert fix.sets == sets
    else:
        assert list(fix.sets) == [knob]


def test_a_brief_without_a_fix_stays_as_it_is() -> None:
    """There is nothing to turn."""
    text = HEALTHY[: HEALTHY.index("bottleneck:")]
    brief = parse_brief(text).brief

    assert with_numbers(brief) == brief
