from __future__ import annotations

import asyncio
import importlib.util

import pytest

from feasible.errors import EngineMissing
from feasible.registry import weights
from feasible.tiers import AsyncTier, LocalSmolLM2

LABELS = ("weather", "banking")


@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is not None, reason="the extra `llm` is installed here"
)
def test_without_the_extra_it_says_what_to_install() -> None:
    """When it is asked, not when it is built."""
    tier: AsyncTier = LocalSmolLM2(labels=LABELS, weights=weights)
    with pytest.raises(EngineMissing, match=r'pip install "feasible\[llm\]"'):
        tier.answer([{"text": "hi"}])


def test_it_is_real_and_its_version_follows_labels_and_prompt() -> None:
    """Two servers on two ports are one version."""
    tiers = [LocalSmolLM2(), LocalSmolLM2(labels=LABELS), LocalSmolLM2(system="x")]
    assert len({tier.version for tier in tiers}) == 3
    assert LocalSmolLM2(threads=1).version == LocalSmolLM2().version
    assert not tiers[0].simulated


@pytest.mark.llm
@pytest.mark.slow
def test_a_real_model_answers_with_a_label_and_stops_when_it_is_told() -> None:
    """The whole path with real weights: prepare, load, ask over HTTP, read, close."""
    try:
        weights("smollm2")
    except EngineMissing as error:
        pytest.skip(f"the weights of SmolLM2 cannot be fetched here: {error.found}")
    with LocalSmolLM2(labels=LABELS, weights=weights) as tier:
        answers = tier.answer([{"text": "Will it rain in Rome?"}, {"text": "Block my bank card."}])

        async def once() -> object:
            answer = await tier.answer_async({"text": "Is it sunny?"}, timeout_s=60)
            await tier.aclose()
            return answer.value

        assert {answer.value for answer in answers} <= {*LABELS, None}
        assert any(answer.value in LABELS for answer in answers)
        assert [answer.cost_usd for answer in answers] == [0.0, 0.0]
        assert asyncio.run(once()) in {*LABELS, None}
    assert tier._server is None


@pytest.mark.llm
def test_without_weights_it_says_how_to_hand_them_in() -> None:
    """Nothing is fetched behind the user's back."""
    with pytest.raises(EngineMissing, match=r"weights=feasible\.registry\.weights"):
        LocalSmolLM2().answer([{"text": "hi"}])
