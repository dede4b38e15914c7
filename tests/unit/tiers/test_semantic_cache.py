from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feasible.clock import VirtualClock
from feasible.errors import EngineMissing, ModelFileError, RequestError, TierError
from feasible.registry import weights
from feasible.schema import ABSTAIN, Answer, Example, Request, TierKind, TierSpec
from feasible.tiers import FittableTier, RememberingTier, as_tier
from feasible.tiers.hit_judge import cache_pairs
from feasible.tiers.semantic_cache import SemanticCache

TOPICS = {
    "card": "my card",
    "loan": "a loan",
    "rent": "the rent",
    "visa": "a visa",
    "gym": "the gym",
    "bike": "my bike",
}
FRAMES = [
    "Where can I ask about {}?",
    "I have a question about {}",
    "Tell me about {}",
    "What do you know about {}?",
    "I need help with {}",
    "Who knows something about {}?",
]
ROWS = [
    Example(f"{label}{n}", {"text": frame.format(what)}, label=label)
    for label, what in TOPICS.items()
    for n, frame in enumerate(FRAMES)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give prepared weights, beside which embeddings may be kept; skip without a connection."""
    try:
        prepared = weights("minilm")
    except EngineMissing as error:
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {error.found}")
    return Path(shutil.copytree(prepared, tmp_path_factory.mktemp("weights") / "minilm"))


def cache(folder: Path, rows: Sequence[Example] = (), **settings: Any) -> SemanticCache:
    """Give a fitted cache with these weights."""
    made = SemanticCache(weights=lambda _name: folder, **settings)
    made.fit(rows, seed=0)
    return made


def asked(tier: SemanticCache, text: str, **fields: Any) -> Answer:
    """Give what a tier says to one text."""
    return tier.answer([{"text": text, **fields}])[0]


@pytest.mark.slow
def test_a_paraphrase_scores_far_above_its_opposite(folder: Path) -> None:
    """Though the opposite has the higher cosine."""
    tier = cache(folder)
    tier.remember({"text": "How do I turn on two-factor login?"}, "in the settings", 1.0)
    same = asked(tier, "Please tell me how to enable two-factor login")
    opposite = asked(tier, "How do I turn off two-factor login?")
    assert same.value == opposite.value == "in the settings"
    assert same.score is not None
    assert opposite.score is not None
    assert same.score > 0.9
    assert opposite.score < 0.2


@pytest.mark.slow
def test_no_hard_negative_kept_from_it_scores_like_a_paraphrase(folder: Path) -> None:
    """One threshold takes more than half of the paraphrases and none of the hard negatives."""
    tier = cache(folder)
    pairs = cache_pairs("certify", "unseen")
    score = tier.same_answer([(pair.question_a, pair.question_b) for pair in pairs])
    right = np.asarray([pair.same_answer for pair in pairs])
    assert (score[right] > score[~right].max() + 0.2).mean() > 0.5


@pytest.mark.slow
def test_it_abstains_until_it_holds_a_question(folder: Path) -> None:
    """Fitted on no rows it has learnt to judge and has nothing to give."""
    tier = cache(folder)
    assert asked(tier, "anything") == ABSTAIN
    tier.remember({"text": "anything"}, None, 0.9)
    assert len(tier) == 0


@pytest.mark.slow
def test_the_same_words_get_the_probability_they_were_accepted_with(folder: Path) -> None:
    """As in the exact cache; and no hit is surer than the answer it repeats."""
    tier = cache(folder)
    tier.remember({"text": "Where is my card?"}, ["a", {"b": 1}], 0.7)
    assert asked(tier, "where is  MY card?") == Answer(["a", {"b": 1}], score=0.7)
    near = asked(tier, "Can you tell me where my card is?")
    assert near.score is not None
    assert 0.5 < near.score < 0.7


@pytest.mark.slow
def test_a_remembered_answer_cannot_be_changed_from_outside(folder: Path) -> None:
    """Neither by who stored it nor by who got it."""
    tier = cache(folder)
    value = ["a"]
    tier.remember({"text": "Where is my card?"}, value, None)
    value.append("b")
    asked(tier, "Where is my card?").value.append("c")
    assert asked(tier, "Where is my card?").value == ["a"]


@pytest.mark.slow
def test_another_tenant_gets_nothing(folder: Path) -> None:
    """Every field but the text must be equal, whether the words are the same or not."""
    tier = cache(folder)
    tier.remember({"text": "What is my plan?", "tenant": "one"}, "gold", 0.99)
    assert asked(tier, "What is my plan?", tenant="one").value == "gold"
    for text in ("What is my plan?", "What's my plan?"):
        assert asked(tier, text, tenant="two") == ABSTAIN
        assert asked(tier, text) == ABSTAIN


@pytest.mark.slow
def test_an_answer_is_forgotten_when_it_is_too_old(folder: Path) -> None:
    """The exact words too."""
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    tier = cache(folder, ttl_s=60, clock=clock)
    tier.remember({"text": "Where is my card?"}, "here", 0.9)
    clock.advance(59)
    assert asked(tier, "Where's my card?").value == "here"
    clock.advance(1)
    assert asked(tier, "Where's my card?") == ABSTAIN
    assert asked(tier, "Where is my card?") == ABSTAIN


@pytest.mark.slow
def test_it_holds_no_more_than_its_size(folder: Path) -> None:
    """The answer not used for longest goes first; rows of a fit are bounded as well."""
    tier = cache(folder, size=2)
    for text in ("red", "green", "blue"):
        tier.remember({"text": f"Where is the {text} one?"}, text, 0.9)
        asked(tier, "Where is the red one?")
    held = {asked(tier, f"Where is the {text} one?").value for text in ("red", "green", "blue")}
    assert held == {"red", "blue"}
    assert len(cache(folder, ROWS, size=5)) == 5


@pytest.mark.slow
def test_rows_are_held_and_clear_keeps_them(folder: Path) -> None:
    """A row's own question gets its label; what was remembered is forgotten alone."""
    tier = cache(folder, ROWS)
    tier.remember({"text": "How high is Mont Blanc?"}, "4806 m", 0.9)
    assert len(tier) == len(ROWS) + 1
    tier.clear()
    assert len(tier) == len(ROWS)
    assert [tier.answer([row.request])[0].value for row in ROWS] == [row.label for row in ROWS]


@pytest.mark.slow
def test_what_the_rows_answer_helps_where_answers_are_classes(folder: Path) -> None:
    """Unknown words around a known subject: only rows tell that they do not matter."""
    # Questions about two subjects at once: some neighbours have another answer.
    mixed = [
        Example(f"{one}{other}", {"text": f"Tell me about {a} and {b}"}, label=one)
        for one, a in TOPICS.items()
        for other, b in TOPICS.items()
        if one != other
    ]
    rows = [*ROWS, *mixed]
    learnt, bare = cache(folder, rows), cache(folder)
    for row in rows:
        bare.remember(row.request, row.label, 1.0)
    text = "My cousin wonders whether anybody wrote something about the gym"
    informed, uninformed = asked(learnt, text), asked(bare, text)
    assert informed.value == "gym"
    assert informed.score is not None
    assert uninformed.score is not None
    assert informed.score > uninformed.score


@pytest.mark.slow
def test_a_stored_cache_answers_alike_and_forgets_what_it_was_told(
    folder: Path, tmp_path: Path
) -> None:
    """Rows, judge and classifier come back; the memory of one process is its own."""
    tier = cache(folder, ROWS)
    before, version = tier.answer([row.request for row in ROWS]), tier.version
    tier.remember({"text": "How high is Mont Blanc?"}, "4806 m", 0.9)
    assert tier.version == version != SemanticCache().version
    tier.save(tmp_path)
    loaded = tier.blank()
    loaded.load(tmp_path)
    assert loaded.answer([row.request for row in ROWS]) == before
    assert loaded.version == version
    assert len(loaded) == len(ROWS)


@pytest.mark.slow
def test_a_cache_fitted_without_rows_can_be_stored(folder: Path, tmp_path: Path) -> None:
    """It is the case of free-text answers."""
    tier = cache(folder)
    tier.save(tmp_path)
    loaded = tier.blank()
    loaded.load(tmp_path)
    assert loaded.version == tier.version
    pairs = [("a red bike", "a blue bike"), ("a bike", "a bike")]
    assert np.array_equal(loaded.same_answer(pairs), tier.same_answer(pairs))


@pytest.mark.slow
def test_other_settings_or_damage_are_refused(folder: Path, tmp_path: Path) -> None:
    """Half a cache would answer with confidence."""
    tier = cache(folder, ROWS)
    tier.save(tmp_path)
    with pytest.raises(ModelFileError, match="other settings"):
        SemanticCache(weights=lambda _name: folder, max_tokens=32).load(tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**facts, "rows": facts["rows"][1:]}))
    with pytest.raises(ModelFileError, match="not whole"):
        tier.blank().load(tmp_path)


@pytest.mark.slow
def test_it_is_a_model_under_a_brief(folder: Path) -> None:
    """It is fitted, profiled and calibrated as a model, and told what was accepted as a cache."""
    spec = TierSpec(name="by_meaning", kind=TierKind.MODEL)
    tier = as_tier(SemanticCache, spec, weights=lambda _name: folder)
    assert isinstance(tier, FittableTier)
    assert isinstance(tier, RememberingTier)
    tier.fit(ROWS, seed=0)
    tier.remember({"text": "How high is Mont Blanc?"}, "4806 m", 0.9)
    assert tier.answer([{"text": "how high is mont blanc?"}]) == [Answer("4806 m", score=0.9)]


@pytest.mark.parametrize(
    "settings", [{"threads": 0}, {"max_tokens": 2}, {"size": 0}, {"ttl_s": 0.0}]
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    """At once, and not at the first answer."""
    with pytest.raises(ValueError, match="found"):
        SemanticCache(**settings)


def test_asked_before_it_was_fitted_it_says_what_to_do() -> None:
    """A cache that never learnt to judge would have to guess."""
    request: Request = {"text": "hello"}
    for ask in (
        lambda: SemanticCache().answer([request]),
        lambda: SemanticCache().remember(request, "x", 1.0),
    ):
        with pytest.raises(TierError, match="before it was fitted"):
            ask()


def test_fitting_without_weights_says_where_they_would_come_from() -> None:
    """Nothing is fetched behind anybody's back."""
    with pytest.raises(EngineMissing, match="where the weights"):
        SemanticCache().fit([], seed=0)


@pytest.mark.slow
def test_a_request_without_text_is_refused(folder: Path) -> None:
    """In an answer, in what it is told and in a row."""
    tier = cache(folder)
    with pytest.raises(RequestError):
        tier.answer([{"txt": "hello"}])
    with pytest.raises(RequestError):
        tier.remember({"txt": "hello"}, "x", 1.0)
    with pytest.raises(RequestError):
        tier.fit([Example("r", {"txt": "hello"}, label="x")], seed=0)
