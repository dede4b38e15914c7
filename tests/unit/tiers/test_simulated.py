from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from feasible.errors import TierError
from feasible.schema import Request
from feasible.tiers import AsyncTier, SimulatedLLM

MANY: list[Request] = [{"text": f"question {n}"} for n in range(2000)]
LABELS = ("right", "wrong", "odd")


def test_it_says_that_it_is_simulated() -> None:
    """In its name and as a flag that keeps it out of certificates."""
    tier: AsyncTier = SimulatedLLM(model="gpt-4")
    assert tier.simulated
    assert "simulated" in tier.name


def test_without_the_truth_it_abstains_and_is_still_paid() -> None:
    """It knows nothing by itself."""
    tier = SimulatedLLM()
    (answer,) = tier.answer(MANY[:1])
    assert answer.abstained
    assert answer.cost_usd == tier.usd_per_call


def test_with_the_truth_it_is_right_in_the_declared_share() -> None:
    """2000 draws at 0.8 lie within 4 standard errors (0.036) of it."""
    tier = SimulatedLLM(truth=lambda _: "right", accuracy=0.8, labels=LABELS)
    values = [answer.value for answer in tier.answer(MANY)]
    assert values.count("right") / len(values) == pytest.approx(0.8, abs=0.036)
    assert {"wrong", "odd"} < set(values)


def test_without_another_label_a_mistake_is_an_abstention() -> None:
    """It does not invent labels."""
    tier = SimulatedLLM(truth=lambda _: "right", accuracy=0.0, labels=("right",))
    assert tier.answer(MANY[:1])[0].abstained


def test_the_price_is_the_list_price() -> None:
    """gpt-4o-mini: 300 tokens at $0.15 and 20 at $0.60 a million, by hand."""
    tier = SimulatedLLM(model="gpt-4o-mini", tokens_in=300, tokens_out=20)
    assert tier.usd_per_call == pytest.approx(0.000057)
    assert tier.worst_usd_per_call == tier.usd_per_call


def test_a_linear_latency_is_base_plus_tokens() -> None:
    """gpt-4: 0.51 s and 0.0413 s a token, by hand for 100."""
    tier = SimulatedLLM(model="gpt-4", latency="linear", tokens_out=100)
    assert tier.latency_ms(MANY[0]) == pytest.approx(4640)


def test_a_lognormal_latency_has_the_fitted_median_and_spread() -> None:
    """claude-3-haiku: ln s has mean -0.229 and deviation 0.233; 4 standard errors are 0.021."""
    tier = SimulatedLLM(model="claude-3-haiku")
    logs = np.log([tier.latency_ms(request) / 1e3 for request in MANY])
    assert logs.mean() == pytest.approx(-0.229, abs=0.021)
    assert logs.std() == pytest.approx(0.233, abs=0.015)


def test_it_waits_when_it_is_served_and_not_when_it_is_profiled() -> None:
    """Load tests feel the latency; profiles read it."""
    tier = SimulatedLLM(model="gemini-1.5-flash", latency="linear", tokens_out=0)
    begun = time.monotonic()
    asyncio.run(tier.answer_async(MANY[0], timeout_s=5))
    assert time.monotonic() - begun >= 0.63
    begun = time.monotonic()
    tier.answer(MANY[:100])
    assert time.monotonic() - begun < 0.6


def test_a_timeout_shorter_than_the_latency_fails_at_the_timeout() -> None:
    """As a real call does."""
    begun = time.monotonic()
    with pytest.raises(TierError, match="simulated"):
        asyncio.run(SimulatedLLM(latency="linear").answer_async(MANY[0], timeout_s=0.02))
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model": "gpt-4o-mni"}, "did you mean 'gpt-4o-mini'"),
        ({"latency": "constant"}, "found 'constant'"),
        ({"model": "gemini-1.5-flash"}, "use linear"),
        ({"accuracy": 1.5}, "found 1.5"),
        ({"tokens_in": -1}, "found -1"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object], said: str) -> None:
    """With the nearest valid choice."""
    with pytest.raises(ValueError, match=said):
        SimulatedLLM(**wrong)  # type: ignore[arg-type]
