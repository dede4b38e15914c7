"""Moderation from logged answers: a certified cascade in which each of three tiers is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.cascade import LEAST_SHARE, TIERS, plans_without
from bench.moderation import moderation_profile


@pytest.mark.data
@pytest.mark.slow
def test_each_of_three_tiers_earns_its_place(data_dir: Path) -> None:
    """All answer posts, and without any of them the plan costs more or is not certified."""
    folder = data_dir / "moderation_stormfront_llm"
    profile = moderation_profile(folder, llms=("gpt35",))

    found = plans_without(profile, seed=0)

    whole = found[None].plan
    assert whole is not None, found[None].infeasible
    assert all(line.holds for line in whole.certificate)
    assert tuple(tier.name for tier in whole.tiers) == TIERS
    assert min(tier.share for tier in whole.tiers) >= LEAST_SHARE
    usd = whole.forecast.cost_usd
    assert usd is not None
    judged = {made.data.cert_fingerprint for made in found.values() if made.data is not None}
    assert judged == {whole.data.cert_fingerprint}
    for tier in TIERS:
        without = found[tier].plan
        rest = None if without is None else without.forecast.cost_usd
        assert rest is None or rest > usd, tier
