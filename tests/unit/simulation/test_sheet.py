"""The numbers of a brief, and draws from their ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from feasible.schema import Brief, parse_brief
from feasible.simulation import drawn, middles, sheet

TEXT = """
feasible: 1
name: x
goal: {statement: x}
envelope:
  - {latency: p99, at_most: 200 ms}
traffic: {rate: 10..40 / s, repeated: 30 %}
layers:
  tiers:
    - {name: cache, kind: cache, usd: $0, ttl: 1 h}
    - {name: rules, kind: rules, usd: $0..$0.002}
    - {name: small, kind: model, usd: $0.001, reach: 10..30 %, latency_p95: 20..80 ms}
"""
N = 2000


def brief() -> Brief:
    """Give the brief of this page."""
    return parse_brief(TEXT).brief


def test_inputs_carry_base_units_and_traffic_is_no_knob() -> None:
    """Milliseconds become seconds; nobody can turn the rate."""
    inputs = {item.name: item for item in sheet(brief())}

    assert inputs["small.latency_p95"].middle == pytest.approx(0.04)
    assert inputs["small.reach"].is_share
    assert not inputs["traffic.rate"].is_knob
    assert inputs["small.usd"].is_knob
    assert "rules.reach" not in inputs


def test_a_reach_that_is_not_stated_follows_from_the_cache() -> None:
    """Everything reaches the cache, and what it has not seen before reaches the next tier."""
    values = middles(sheet(brief()), brief())

    assert values["cache.reach"] == pytest.approx(1.0)
    assert values["rules.reach"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("traffic.rate", 10, 40), ("small.reach", 0.1, 0.3), ("rules.usd", 0, 0.002)],
)
def test_a_range_is_the_middle_nine_tenths_of_its_draws(name: str, low: float, high: float) -> None:
    """Lognormal when positive, logit-normal for a share, normal otherwise."""
    values, ranged = drawn(sheet(brief()), brief(), n=N, seed=3)

    assert name in ranged
    assert np.quantile(values[name], [0.05, 0.95]) == pytest.approx([low, high], rel=0.02, abs=1e-4)


def test_the_draws_are_stratified() -> None:
    """A Latin hypercube has one draw in each of n equally likely slices of every range."""
    values, _ = drawn(sheet(brief()), brief(), n=N, seed=3)
    z = np.log(values["traffic.rate"] / 20) / np.log(2) * 1.6448536269514722
    slices = np.floor(norm.cdf(z) * N).astype(int)

    assert sorted(slices) == list(range(N))


def test_the_same_seed_gives_the_same_draws() -> None:
    """And another seed gives others."""
    first, again, other = (
        drawn(sheet(brief()), brief(), n=50, seed=seed)[0]["small.reach"] for seed in (1, 1, 2)
    )

    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


@given(low=st.floats(0, 1), high=st.floats(0, 1), seed=st.integers(0, 10))
def test_a_share_stays_a_share(low: float, high: float, seed: int) -> None:
    """No draw leaves 0 to 1, also when an end of the range is 0 or 1."""
    low, high = sorted((low, high))
    text = TEXT.replace("reach: 10..30 %", f"reach: {low:.6f}..{high:.6f}")
    found = parse_brief(text).brief

    values, _ = drawn(sheet(found), found, n=50, seed=seed)

    assert ((values["small.reach"] >= 0) & (values["small.reach"] <= 1)).all()
