from __future__ import annotations

import msgspec
import pytest

from feasible.errors import PlanError
from feasible.schema import Traffic
from feasible.simulation import stated_design
from feasible.simulation.screen import screen
from feasible.systems import open_feature


def test_a_stated_design_reaches_and_saturates_as_its_brief_says() -> None:
    """Shares that reach each tier and the load that fills it follow from the brief's numbers."""
    brief = open_feature("fraud").found.brief
    loads = {load.name: load for load in screen(stated_design(brief)[0]).loads}
    scorer, rate = brief.tier("scorer"), brief.traffic.rate
    assert scorer.reach is not None
    assert scorer.capacity is not None
    assert rate is not None
    assert loads["scorer"].reach == pytest.approx(scorer.reach.mid, abs=0.002)
    expected = rate.mid * scorer.reach.mid / scorer.capacity.mid
    assert loads["scorer"].utilisation == pytest.approx(expected, rel=0.05)


def test_a_brief_without_a_rate_cannot_be_simulated() -> None:
    """It is refused with what to say."""
    brief = msgspec.structs.replace(open_feature("fraud").found.brief, traffic=Traffic())
    with pytest.raises(PlanError, match="cannot be simulated"):
        stated_design(brief)
