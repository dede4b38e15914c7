from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from feasible.errors import DataError, EngineMissing, ModelFileError, TierError
from feasible.registry import weights
from feasible.schema import Example
from feasible.tiers import MiniLMHead

ROWS = [
    Example(f"{label}{n}", {"text": text}, label=label)
    for label, texts in {
        "card": ["where is my card", "my card has not arrived", "no card in the post yet"],
        "refund": ["I want my money back", "please return what I paid", "refund me"],
        "weather": ["will it rain today", "is it sunny outside", "how hot is it in Rome"],
    }.items()
    for n, text in enumerate(texts)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give prepared weights, beside which embeddings may be kept; skip without a connection."""
    try:
        prepared = weights("minilm")
    except EngineMissing as error:
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {error.found}")
    return Path(shutil.copytree(prepared, tmp_path_factory.mktemp("weights") / "minilm"))


def head(folder: Path, **settings: float) -> MiniLMHead:
    """Give an unfitted tier with these weights."""
    return MiniLMHead(weights=lambda _name: folder, **settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_paraphrases_lie_closer_than_other_subjects(folder: Path) -> None:
    """The embedding knows meaning, not only words; each has length 1."""
    one, same, other = head(folder).embed(
        ["how do I change my password", "I want to reset my login", "will it rain today"]
    )
    assert one.shape == (384,)
    assert one @ one == pytest.approx(1, abs=1e-5)
    assert float(one @ same) > float(one @ other) + 0.2


@pytest.mark.slow
def test_a_text_is_embedded_alike_alone_and_among_others(folder: Path) -> None:
    """What was certified in bulk is what is served singly."""
    texts = [str(row.request["text"]) for row in ROWS] + ["a" * 500, "", "\ud800"]
    together = head(folder).embed(texts)
    alone = np.vstack([head(folder).embed([text]) for text in texts])
    assert np.array_equal(together, alone)
    assert np.isfinite(together).all()


@pytest.mark.slow
def test_only_the_first_tokens_are_read(folder: Path) -> None:
    """A long text costs no more than `max_tokens`."""
    tier = head(folder, max_tokens=8)
    one, same = tier.embed(
        ["one two three four five six " + end for end in ("seven", "eight nine")]
    )
    assert np.array_equal(one, same)


@pytest.mark.slow
def test_it_learns_from_three_rows_a_class_what_no_word_tells(folder: Path) -> None:
    """None of these words was in the rows."""
    tier = head(folder)
    tier.fit(ROWS, seed=0)
    asked = ["the plastic never came", "give the cash back", "shall I bring an umbrella"]
    answers = tier.answer([{"text": text} for text in asked])
    assert [answer.value for answer in answers] == ["card", "refund", "weather"]


@pytest.mark.slow
def test_embeddings_are_kept_for_the_next_fit_and_damaged_ones_made_again(folder: Path) -> None:
    """A refit is cheap, and never wrong."""
    tier = head(folder)
    tier.fit(ROWS, seed=0)
    kept = list(folder.with_name(f"{folder.name}-embeddings").glob("*.npz"))
    assert len(kept) >= 1
    changed = {path: path.stat().st_mtime_ns for path in kept}
    again = head(folder)
    again.fit(ROWS, seed=0)
    assert again.version == tier.version
    assert changed == {path: path.stat().st_mtime_ns for path in kept}
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    repaired = head(folder)
    repaired.fit(ROWS, seed=0)
    assert repaired.version == tier.version


@pytest.mark.slow
def test_a_stored_head_answers_alike_and_without_the_weights_in_it(
    folder: Path, tmp_path: Path
) -> None:
    """The published weights stay in the cache; only their hash is stored."""
    tier = head(folder)
    tier.fit(ROWS, seed=0)
    tier.save(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000
    loaded = tier.blank()
    loaded.load(tmp_path)
    asked = [row.request for row in ROWS]
    assert loaded.answer(asked) == tier.answer(asked)
    assert loaded.version == tier.version != tier.blank().version


@pytest.mark.slow
def test_other_weights_or_settings_than_it_was_fitted_on_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    """A head on other embeddings would answer nonsense with confidence."""
    tier = head(folder)
    tier.fit(ROWS, seed=0)
    tier.save(tmp_path)
    with pytest.raises(ModelFileError, match="other settings"):
        head(folder, max_tokens=32).load(tmp_path)
    facts = (tmp_path / "model.json").read_text()
    used = tier._weights_sha256
    (tmp_path / "model.json").write_text(facts.replace(used, "0" * 64))
    with pytest.raises(ModelFileError, match=f"(?s)other weights.*{used}"):
        tier.load(tmp_path)


def test_one_class_is_refused_before_any_weights_are_asked_for() -> None:
    """The user's rows are the cheaper thing to look at."""

    def never(name: str) -> Path:
        raise AssertionError(name)

    with pytest.raises(DataError, match="at least 2 classes"):
        MiniLMHead(weights=never).fit(ROWS[:3], seed=0)
    with pytest.raises(TierError, match="before it was fitted"):
        MiniLMHead(weights=never).answer([{"text": "a"}])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("int4", "did you mean int8"),
        ("fp23", "did you mean fp32"),
        ("fp61", "did you mean fp16"),
        ("half", "found 'half'$"),
        (8, "found 8$"),
    ],
)
def test_an_unknown_precision_is_refused_with_the_nearest_one(wrong: str, said: str) -> None:
    """The error lists what there is."""
    with pytest.raises(ValueError, match=rf"int8, fp16, fp32; .*{said}"):
        MiniLMHead(precision=wrong)


def test_each_precision_asks_for_its_own_weights_and_has_its_own_version() -> None:
    """A plan that was certified with one is never served with another."""
    asked = []

    def note(name: str) -> Path:
        asked.append(name)
        raise EngineMissing("not here")

    tiers = [MiniLMHead(precision=p, weights=note) for p in ("int8", "fp16", "fp32")]
    for tier in tiers:
        with pytest.raises(EngineMissing):
            tier.embed(["hi"])
        with pytest.raises(EngineMissing):
            tier.blank().embed(["hi"])
    assert asked == ["minilm"] * 2 + ["minilm-fp16"] * 2 + ["minilm-fp32"] * 2
    assert len({tier.version for tier in tiers}) == 3
    assert [tier.blank().version for tier in tiers] == [tier.version for tier in tiers]


def test_int8_keeps_the_version_it_had_before_there_was_a_choice() -> None:
    """Snapshot: plans from then stay valid. Raise `_CODE` when answers change, and this with it."""
    assert MiniLMHead().version == MiniLMHead(precision="int8").version == "967326f575d915c5"


@pytest.mark.slow
def test_formats_of_one_model_are_close_and_not_equal() -> None:
    """They compute one function, each with its own rounding: fp16 far more finely than int8."""
    texts = [str(row.request["text"]) for row in ROWS]
    try:
        by = {p: MiniLMHead(precision=p, weights=weights) for p in ("int8", "fp16", "fp32")}
        found = {p: tier.embed(texts) for p, tier in by.items()}
    except EngineMissing as error:
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {error.found}")
    cosine = {p: (found[p] * found["fp32"]).sum(axis=1) for p in ("int8", "fp16")}
    assert cosine["int8"].min() > 0.97
    assert cosine["fp16"].min() > 0.9999
    for p in ("int8", "fp16"):
        assert not np.array_equal(found[p], found["fp32"])


@pytest.mark.slow
def test_what_was_fitted_in_one_precision_is_not_loaded_in_another(tmp_path: Path) -> None:
    """The embeddings differ, and so would the answers."""
    try:
        tier = MiniLMHead(precision="fp32", weights=weights)
        tier.fit(ROWS, seed=0)
    except EngineMissing as error:
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {error.found}")
    tier.save(tmp_path)
    loaded = tier.blank()
    loaded.load(tmp_path)
    assert loaded.version == tier.version
    with pytest.raises(ModelFileError, match="other weights"):
        MiniLMHead(weights=weights).load(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"threads": 0}, {"max_tokens": 2}, {"max_tokens": 513}, {"inverse_penalty": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    """The error names the number."""
    with pytest.raises(ValueError, match="found"):
        MiniLMHead(**wrong)  # type: ignore[arg-type]
