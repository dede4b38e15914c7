from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from feasible.errors import FeatureError
from feasible.schema import Answer, Example, Request, TierKind, TierSpec
from feasible.tiers import (
    AsyncTier,
    ExactCache,
    FittableTier,
    PersonQueue,
    RememberingTier,
    SimulatedLLM,
    TfidfModel,
    Tier,
    as_tier,
)
from feasible.units import Duration, Ratio, Usd

RULES = TierSpec(name="known", kind=TierKind.RULES)
MODEL = TierSpec(name="mine", kind=TierKind.MODEL)
HELLO: list[Request] = [{"text": "hello"}, {"text": "?"}]


def greet(request: Request) -> str | None:
    """Answer one thing."""
    return "greeting" if request["text"] == "hello" else None


class Mine:
    """A user's own tier, with nothing but what it must have."""

    def __init__(self, word: str = "hi") -> None:
        self.word = word

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Say the same to everything."""
        return [Answer(self.word, score=0.5) for _ in batch]


class Learner(Mine):
    """A user's own tier that learns, without a `blank` of its own."""

    def fit(self, examples: Sequence[Example], *, seed: int) -> None:  # noqa: ARG002
        """Learn one word."""
        self.word = str(examples[0].label)

    def save(self, folder: Path) -> None:
        """Write it."""
        (folder / "word").write_text(self.word)

    def load(self, folder: Path) -> None:
        """Read it."""
        self.word = (folder / "word").read_text()


def test_a_plain_function_is_a_tier_and_none_is_an_abstention() -> None:
    """A rule is one function."""
    tier = as_tier(greet, RULES)
    assert [answer.value for answer in tier.answer(HELLO)] == ["greeting", None]
    assert isinstance(tier, Tier)
    assert (tier.name, tier.kind, tier.simulated) == ("known", TierKind.RULES, False)


def test_an_object_with_answer_is_a_tier_under_the_name_of_the_brief() -> None:
    """Ten lines are enough; its price is unknown until somebody says it."""
    tier = as_tier(Mine(), MODEL)
    assert [answer.value for answer in tier.answer(HELLO)] == ["hi", "hi"]
    assert (tier.name, tier.kind, tier.usd_per_call) == ("mine", TierKind.MODEL, None)
    assert not isinstance(tier, FittableTier | AsyncTier | RememberingTier)


def test_a_class_is_built_with_the_options_of_the_brief() -> None:
    """`options` are keyword arguments."""
    spec = TierSpec(name="mine", kind=TierKind.MODEL, options={"word": "bye"})
    assert as_tier(Mine, spec).answer(HELLO)[0].value == "bye"


def test_an_unknown_option_is_refused_with_what_the_class_takes() -> None:
    """A setting is never silently ignored."""
    spec = TierSpec(name="mine", kind=TierKind.MODEL, options={"wrod": "bye"})
    with pytest.raises(FeatureError, match=r"(?s)wrod.*word") as caught:
        as_tier(Mine, spec)
    assert caught.value.asked == "options: {'wrod': 'bye'}"


def test_the_price_of_the_brief_wins_over_the_tiers_own() -> None:
    """A team's contract is known to the team."""
    spec = TierSpec(name="mine", kind=TierKind.RULES, usd=Usd("$0.001..0.004"))
    tier = as_tier(greet, spec)
    assert tier.usd_per_call == pytest.approx(0.002)
    assert tier.worst_usd_per_call == 0.004


def test_a_tier_that_learns_keeps_that_and_gives_unfitted_copies() -> None:
    """Cross-fitting needs fresh copies; a user need not write `blank`."""
    tier = as_tier(Learner, MODEL)
    assert isinstance(tier, FittableTier)
    blank = tier.blank()
    tier.fit([Example("1", {"text": "x"}, label="learnt")], seed=0)
    assert tier.answer(HELLO)[0].value == "learnt"
    assert tier.blank().answer(HELLO)[0].value == blank.answer(HELLO)[0].value == "hi"
    assert (blank.name, blank.kind) == ("mine", TierKind.MODEL)


def test_a_built_in_model_is_fittable_when_bound() -> None:
    """Binding hides nothing of the object."""
    assert isinstance(as_tier(TfidfModel, MODEL), FittableTier)
    cache = as_tier(ExactCache(ttl_s=60), TierSpec(name="seen", kind=TierKind.CACHE))
    assert isinstance(cache, RememberingTier)


def test_learning_without_saving_is_refused() -> None:
    """A plan could not serve it."""

    class Forgetful(Mine):
        def fit(self, examples: Sequence[Example], *, seed: int) -> None: ...

    with pytest.raises(FeatureError, match="no save and no load"):
        as_tier(Forgetful, MODEL)


@pytest.mark.parametrize("target", [object(), 7, "text", object])
def test_what_cannot_answer_is_refused(target: object) -> None:
    """The error names the tier and shows what would do."""
    with pytest.raises(FeatureError, match=r"(?s)'known' cannot answer.*function request"):
        as_tier(target, RULES)


def test_a_coroutine_function_is_refused() -> None:
    """It would give a coroutine for an answer."""

    async def later(request: Request) -> str:
        return str(request)

    with pytest.raises(FeatureError, match="async def"):
        as_tier(later, RULES)


def test_a_tier_of_another_kind_is_refused() -> None:
    """A cache declared as rules would be planned as what it is not."""
    with pytest.raises(FeatureError, match="kind: cache"):
        as_tier(ExactCache(), RULES)


def test_a_simulated_tier_must_say_so_in_its_name() -> None:
    """Reports show the name alone."""
    with pytest.raises(FeatureError, match="simulated_llm"):
        as_tier(SimulatedLLM, TierSpec(name="llm", kind=TierKind.LLM))
    spec = TierSpec(name="simulated_llm", kind=TierKind.LLM)
    assert as_tier(SimulatedLLM, spec).simulated


def test_a_cache_without_use_is_the_exact_cache_with_the_briefs_time_to_live() -> None:
    """`ttl` and `size` of the brief reach it."""
    spec = TierSpec(name="seen", kind=TierKind.CACHE, ttl=Duration("1 h"), size=2)
    tier = as_tier(None, spec)
    assert isinstance(tier, RememberingTier)
    for text in "abc":
        tier.remember({"text": text}, text, 0.9)
    values = [answer.value for answer in tier.answer([{"text": text} for text in "abc"])]
    assert values == [None, "b", "c"]
    one_hour = ExactCache(ttl_s=3600, size=2)
    assert tier.version == one_hour.version


def test_a_person_without_use_takes_error_rate_price_and_minutes_from_the_brief() -> None:
    """People are declared, not coded."""
    spec = TierSpec(
        name="clerk",
        kind=TierKind.PERSON,
        usd=Usd("$2"),
        error_rate=Ratio("2 %"),
        answer_within=Duration("30 min"),
    )
    tier: Any = as_tier(None, spec)
    assert (tier.usd_per_call, tier.error_rate, tier.minutes) == (2.0, 0.02, 30.0)
    filled: Any = as_tier(PersonQueue(error_rate=0.5), spec)
    assert filled.error_rate == 0.5


def test_the_version_of_an_object_changes_with_its_code_and_settings() -> None:
    """A certificate expires when a tier might answer differently."""

    def other(request: Request) -> str | None:
        return "greeting" if request["text"] == "hullo" else None

    assert as_tier(greet, RULES).version == as_tier(greet, RULES).version
    assert as_tier(greet, RULES).version != as_tier(other, RULES).version
    assert as_tier(Mine("a"), MODEL).version != as_tier(Mine("b"), MODEL).version
    learner = as_tier(Learner, MODEL)
    assert isinstance(learner, FittableTier)
    before = learner.version
    learner.fit([Example("1", {"text": "x"}, label="learnt")], seed=0)
    assert learner.version != before


def test_a_stored_model_of_a_users_own_tier_comes_back_with_its_version(tmp_path: Path) -> None:
    """Serving refuses a tier whose version is not the one that was certified."""
    tier = as_tier(Learner, MODEL)
    assert isinstance(tier, FittableTier)
    tier.fit([Example("1", {"text": "x"}, label="learnt")], seed=0)
    tier.save(tmp_path)
    other = tier.blank()
    assert other.version != tier.version
    other.load(tmp_path)
    assert other.version == tier.version
    assert other.answer(HELLO) == tier.answer(HELLO)


def test_weights_are_handed_to_a_tier_that_wants_some_and_fetched_by_nobody() -> None:
    """Building a tier must not download."""

    def never(name: str) -> Path:
        raise AssertionError(name)

    class Wants(Mine):
        weights = None

    tier: Any = as_tier(Wants, MODEL, weights=never)
    assert tier.weights is never
    as_tier(Mine, MODEL, weights=never)


def test_a_declared_price_is_not_taken_for_what_the_object_enforces() -> None:
    """The brief says what a call costs; only the object itself can say what it costs at most."""

    class Capped:
        worst_usd_per_call = 3.0

        def answer(self, batch: Sequence[Request]) -> list[Answer]:
            return [Answer("greeting") for _ in batch]

    spec = TierSpec(name="llm", kind=TierKind.LLM, use="tiers:llm", usd=Usd("$2"))
    bare: Any = as_tier(lambda _request: "greeting", spec)
    told: Any = as_tier(Capped(), spec)

    assert [bare.worst_usd_per_call, told.worst_usd_per_call] == [2.0, 2.0]
    assert [bare.enforced_usd_per_call, told.enforced_usd_per_call] == [None, 3.0]
