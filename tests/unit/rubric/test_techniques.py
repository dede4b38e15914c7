from __future__ import annotations

import pytest

from feasible.errors import BadInput
from feasible.rubric.techniques import explain, explained_text, techniques
from feasible.systems import open_feature


@pytest.mark.slow
@pytest.mark.parametrize("name", techniques())
def test_every_technique_turns_a_number_and_computes_what_follows(name: str) -> None:
    """The what-if is computed, and its factors are called assumed."""
    said = explain(name, open_feature("support").found.brief)
    assert said.computed
    assert "assumed" in explained_text(said)
    assert said.changed or name in {"federated learning", "retrieval"}


@pytest.mark.slow
def test_a_cache_makes_a_decision_cheaper() -> None:
    """Hits cost nothing, so the mean falls and nothing gets slower."""
    said = explain("caching", open_feature("fraud").found.brief)
    usd = said.computed[0]
    assert float(usd.after.lstrip("$")) < float(usd.before.lstrip("$"))


def test_an_unknown_technique_or_tier_is_refused() -> None:
    """With what is known instead."""
    brief = open_feature("support").found.brief
    with pytest.raises(BadInput, match="known of"):
        explain("magic", brief)
    with pytest.raises(BadInput, match="no tier"):
        explain("lora", brief, tier="nobody")
