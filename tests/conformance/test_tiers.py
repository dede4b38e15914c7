"""Every tier that we ship keeps the same promises; a new one earns its place here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from feasible.errors import EngineMissing
from feasible.registry import weights
from feasible.schema import Answer, Example, Request, TierKind, TierSpec
from feasible.tiers import (
    AsyncTier,
    ExactCache,
    FittableTier,
    LocalSmolLM2,
    MiniLMHead,
    PersonQueue,
    RememberingTier,
    RulesTier,
    SimulatedLLM,
    TfidfModel,
    Tier,
    as_tier,
    checked_answers,
    pattern,
)

LABELS = ("card", "refund", "weather")
TEXTS = {
    "card": ["where is my card", "my card has not arrived", "no card in the post", "card please"],
    "refund": ["I want my money back", "give me a refund", "refund me now", "money back"],
    "weather": ["will it rain today", "is it sunny", "how hot is it in Rome", "snow today?"],
}
ROWS = [
    Example(f"{label}{n}", {"text": text}, label=label)
    for label, texts in TEXTS.items()
    for n, text in enumerate(texts)
]
ASKED: list[Request] = [
    *(row.request for row in ROWS),
    {"text": ""},
    {"text": "größe ✓ \u4f60\u597d"},
    {"text": "zzz " * 60},
    {"text": "where is my card", "merchant": 7},
]


def a_cache() -> Tier:
    """Remember two of the rows."""
    cache = ExactCache(ttl_s=3600)
    for row in ROWS[:2]:
        cache.remember(row.request, row.label, 0.9)
    return as_tier(cache, TierSpec(name="cache", kind=TierKind.CACHE))


def a_function() -> Tier:
    """Know one word."""

    def known(request: Request) -> str | None:
        return "refund" if "refund" in request["text"] else None

    return as_tier(known, TierSpec(name="function", kind=TierKind.RULES))


def rules() -> Tier:
    """Know two patterns."""
    built = RulesTier(pattern("card", r"\bcard\b"), pattern("weather", "rain", "snow"))
    return as_tier(built, TierSpec(name="rules", kind=TierKind.RULES))


def tfidf() -> Tier:
    """Fit the text model."""
    return _fitted(as_tier(TfidfModel, TierSpec(name="tfidf", kind=TierKind.MODEL)))


def minilm() -> Tier:
    """Fit the sentence model."""
    _need("minilm")
    spec = TierSpec(name="minilm", kind=TierKind.MODEL)
    return _fitted(as_tier(MiniLMHead, spec, weights=weights))


def simulated() -> Tier:
    """Know the rows by heart, mostly."""
    truths = {str(row.request["text"]): row.label for row in ROWS}
    built = SimulatedLLM(
        model="claude-3-haiku",
        truth=lambda request: truths.get(request["text"]),
        accuracy=0.8,
        labels=LABELS,
    )
    return as_tier(built, TierSpec(name="simulated_llm", kind=TierKind.LLM))


def smollm2() -> Tier:
    """Run the local language model."""
    _need("smollm2")
    built = LocalSmolLM2(labels=LABELS, weights=weights)
    return as_tier(built, TierSpec(name="smollm2", kind=TierKind.LLM))


def person() -> Tier:
    """Ask somebody."""
    return as_tier(PersonQueue(usd=1.0), TierSpec(name="person", kind=TierKind.PERSON))


def _need(name: str) -> None:
    try:
        weights(name)
    except EngineMissing as error:
        pytest.skip(f"the weights of {name} cannot be fetched here: {error.found}")


def _fitted(tier: Tier) -> Tier:
    assert isinstance(tier, FittableTier)
    tier.fit(ROWS, seed=0)
    return tier


MAKERS = [
    a_cache,
    a_function,
    rules,
    tfidf,
    pytest.param(minilm, marks=pytest.mark.slow),
    simulated,
    pytest.param(smollm2, marks=[pytest.mark.slow, pytest.mark.llm]),
    person,
]
FITTABLE = [tfidf, pytest.param(minilm, marks=pytest.mark.slow)]

every_tier = pytest.mark.parametrize("make", MAKERS)
every_fittable = pytest.mark.parametrize("make", FITTABLE)


def seen(answers: Sequence[Answer]) -> list[Answer]:
    """Give the answers without the id of a hand-off, which is new each time."""
    return [
        Answer("handed_off", answer.score, answer.cost_usd)
        if isinstance(answer.value, dict)
        else answer
        for answer in answers
    ]


@every_tier
def test_a_batch_of_any_size_gets_as_many_answers(make: Callable[[], Tier]) -> None:
    """All pass the check that planning and serving make."""
    tier = make()
    for batch in (ASKED, ASKED[:1], []):
        assert len(checked_answers(tier, batch, labels=frozenset(LABELS))) == len(batch)


@every_tier
def test_a_batch_gives_what_one_by_one_gives(make: Callable[[], Tier]) -> None:
    """To the last digit of the score: what was certified in bulk is served singly."""
    tier = make()
    singly = [answer for request in ASKED for answer in tier.answer([request])]
    assert seen(tier.answer(ASKED)) == seen(singly)


@every_tier
def test_answers_do_not_depend_on_what_was_asked_before(make: Callable[[], Tier]) -> None:
    """No state is shared between calls; only `remember` and `fit` change a tier."""
    tier = make()
    first = seen(tier.answer(ASKED))
    backwards = seen(tier.answer(ASKED[::-1]))
    assert backwards[::-1] == first == seen(tier.answer(ASKED))


@every_tier
def test_a_request_is_left_as_it_was(make: Callable[[], Tier]) -> None:
    """The next tier gets the same request."""
    request = {"text": "where is my card", "merchant": 7}
    make().answer([request])
    assert request == {"text": "where is my card", "merchant": 7}


@every_tier
def test_the_version_stays_while_it_answers_and_comes_back_when_made_again(
    make: Callable[[], Tier],
) -> None:
    """A certificate expires when a tier changes, and at no other time."""
    tier = make()
    before = tier.version
    tier.answer(ASKED[:2])
    assert tier.version == before
    assert make().version == before


@every_tier
def test_a_price_is_unknown_or_a_number_that_is_not_negative(make: Callable[[], Tier]) -> None:
    """And the dearest call costs no less than a typical one."""
    tier = make()
    typical, worst = tier.usd_per_call, tier.worst_usd_per_call
    assert typical is None or typical >= 0
    assert worst is None or worst >= (typical or 0)


@pytest.mark.parametrize("make", [a_cache, a_function, rules, simulated])
def test_what_it_does_not_know_it_leaves_to_the_next_tier(make: Callable[[], Tier]) -> None:
    """An abstention is an answer without a value or score, and not an error."""
    tier = make()
    knows, does_not = ("no card in the post", "zzz")
    if tier.kind is TierKind.CACHE:
        knows = "where is my card"
    if tier.name == "function":
        knows = "give me a refund"
    answers = tier.answer([{"text": knows}, {"text": does_not}])
    assert [answer.abstained for answer in answers] == [False, True]
    assert answers[1].score is None


@every_fittable
def test_a_stored_tier_answers_alike(make: Callable[[], Tier], tmp_path: Path) -> None:
    """Value, score and version come back through `save`, `blank` and `load`."""
    tier = make()
    assert isinstance(tier, FittableTier)
    tier.save(tmp_path)
    loaded = tier.blank()
    loaded.load(tmp_path)
    assert loaded.answer(ASKED) == tier.answer(ASKED)
    assert loaded.version == tier.version
    assert (loaded.name, loaded.kind) == (tier.name, tier.kind)


@every_fittable
def test_a_copy_learns_without_changing_the_tier_it_came_from(make: Callable[[], Tier]) -> None:
    """Cross-fitting fits many copies."""
    tier = make()
    assert isinstance(tier, FittableTier)
    before, version = tier.answer(ASKED), tier.version
    tier.blank().fit([row for row in ROWS if row.label != "weather"], seed=1)
    assert tier.answer(ASKED) == before
    assert tier.version == version


@pytest.mark.parametrize(
    "make", [simulated, pytest.param(smollm2, marks=[pytest.mark.slow, pytest.mark.llm])]
)
def test_waiting_gives_the_answer_that_a_batch_gives(make: Callable[[], Tier]) -> None:
    """Served one at a time or profiled in bulk, it is the same tier."""
    tier = make()
    assert isinstance(tier, AsyncTier)

    async def wait() -> Answer:
        answer = await tier.answer_async(ASKED[0], timeout_s=60)
        if hasattr(tier, "aclose"):
            await tier.aclose()
        return answer

    assert asyncio.run(wait()) == tier.answer(ASKED[:1])[0]


def test_a_cache_remembers_and_forgets() -> None:
    """The one kind of tier that changes by being told."""
    tier = a_cache()
    assert isinstance(tier, RememberingTier)
    tier.remember({"text": "new"}, "card", 0.8)
    assert tier.answer([{"text": "NEW"}]) == [Answer("card", score=0.8)]
    tier.clear()
    assert tier.answer([{"text": "new"}]) == [Answer()]
