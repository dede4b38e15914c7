"""A named bottleneck earns what it moves, whatever it is called."""

from __future__ import annotations

import pytest

from feasible.rubric.named import share_of_best
from feasible.rubric.records import KnobEffect
from feasible.simulation import breakpoints
from feasible.testing.designs import worked_case

EFFECTS = tuple(
    KnobEffect(knob=knob, elasticity=e)
    for knob, e in (
        ("llm.usd", 1.0),
        ("small.defer", 0.95),
        ("cache.hit", 0.43),
        ("llm.slots", 0.0),
    )
)


@pytest.mark.parametrize(
    ("named", "share"),
    [
        ("llm.usd", 1.0),
        ("small.defer", 1.0),
        ("cache.hit", 0.43),
        ("llm.slots", 0.0),
        ("llm", 0.7),
        ("llm.usd, cache.hit", 0.8),
        ("llm.usd and cache.hit and small.defer", 0.0),
        ("none", 0.0),
        ("nobody.knows", 0.0),
    ],
)
def test_a_knob_earns_its_share_of_the_best(named: str, share: float) -> None:
    """A tie earns all, a tier less than its knob, two names less than one, three nothing."""
    assert share_of_best(named, EFFECTS) == pytest.approx(share)


def test_where_no_knob_moves_it_none_is_the_answer() -> None:
    """Then the limit or the tier must change."""
    weak = (KnobEffect(knob="llm.usd", elasticity=0.1),)

    assert share_of_best("none", weak) == 1.0
    assert share_of_best("llm.usd", weak) == 0.0


@pytest.mark.slow
def test_the_worked_case_is_judged_by_its_simulation() -> None:
    """More slots earn nothing, fewer deferrals all, a better cache less than half.

    By the design's published table: the daily budget breaks first, by price and budget (1.02),
    deferrals (.98) and cache (.44), and not by slots (0).
    """
    design, promises = worked_case()
    found = breakpoints(design, promises, seeds=3, n=6000)
    assert found.bottleneck is not None
    effects = tuple(
        KnobEffect(knob=e.knob, elasticity=e.elasticity) for e in found.bottleneck.effects
    )

    assert share_of_best("llm.slots", effects) == 0.0
    assert share_of_best("small.defer", effects) == 1.0
    assert 0.3 < share_of_best("cache.hit", effects) < 0.6
