from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from feasible.errors import DataError, ModelFileError, RequestError, TierError
from feasible.schema import Example
from feasible.tiers import TfidfModel

WORDS = {"card": "where is my card", "refund": "I want my money back", "pin": "I forgot my pin"}
ROWS = [
    Example(f"{label}{n}", {"text": f"{text} {extra}"}, label=label)
    for label, text in WORDS.items()
    for n, extra in enumerate(["", "please", "now", "today", "again", "!"])
]


def fitted() -> TfidfModel:
    """Give a model that knows three things."""
    model = TfidfModel()
    model.fit(ROWS, seed=0)
    return model


def test_it_learns_what_it_is_shown_and_reads_pieces_of_words() -> None:
    """A misspelt word is still mostly the same word."""
    texts = ["where's my card", "money back please", "forgot the pinn"]
    answers = fitted().answer([{"text": text} for text in texts])
    assert [answer.value for answer in answers] == ["card", "refund", "pin"]
    assert all(answer.score is not None and 1 / 3 < answer.score <= 1 for answer in answers)


def test_a_text_it_knows_nothing_of_gets_an_unsure_answer() -> None:
    """It has no way to abstain; the score says so."""
    sure, unsure = fitted().answer([{"text": "where is my card"}, {"text": "zzz"}])
    assert sure.score is not None
    assert unsure.score is not None
    assert unsure.score < 0.5 < sure.score


def test_the_same_rows_and_seed_give_the_same_model() -> None:
    """A plan can be made again."""
    assert fitted().version == fitted().version


def test_the_version_changes_with_rows_and_settings() -> None:
    """Certificates expire with either."""
    other = TfidfModel()
    other.fit(ROWS[:-1], seed=0)
    assert len({fitted().version, other.version, TfidfModel().version}) == 3
    assert TfidfModel(char_max=3).version != TfidfModel().version


def test_care_leans_towards_the_slice_and_is_stored(tmp_path: Path) -> None:
    """A text between two classes gets the dear one, before and after it was written to disk."""
    rows = [
        Example(
            row.row_id,
            row.request,
            label=row.label,
            slices=frozenset({"dear"} if row.label == "pin" else ()),
        )
        for row in ROWS
    ]
    careful = TfidfModel(careful_on="dear", care=50)
    careful.fit(rows, seed=0)
    careful.save(tmp_path)
    loaded = TfidfModel()
    loaded.load(tmp_path)

    between = [{"text": "my card pin please"}]
    assert fitted().answer(between)[0].value == "card"
    assert careful.answer(between)[0].value == "pin"
    assert loaded.answer(between) == careful.answer(between)
    assert loaded.blank().version == careful.blank().version != TfidfModel().version


def test_a_stored_model_answers_alike_and_keeps_its_settings(tmp_path: Path) -> None:
    """Nothing is lost on the way through the files."""
    model = TfidfModel(char_max=3, inverse_penalty=5)
    model.fit(ROWS, seed=1)
    model.save(tmp_path)
    loaded = TfidfModel()
    loaded.load(tmp_path)
    asked = [row.request for row in ROWS]
    assert loaded.answer(asked) == model.answer(asked)
    assert loaded.version == model.version
    assert loaded.blank().version == model.blank().version


def test_a_half_model_is_refused_and_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    """A failed load changes nothing."""
    model = fitted()
    model.save(tmp_path)
    facts = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(facts.replace('"w:card", ', ""))
    before = model.version
    with pytest.raises(ModelFileError, match="fit"):
        model.load(tmp_path)
    assert model.version == before


def test_it_reads_the_field_it_was_told_to() -> None:
    """The field is a setting."""
    model = TfidfModel(text_field="body")
    model.fit([Example(r.row_id, {"body": r.request["text"]}, label=r.label) for r in ROWS], seed=0)
    assert model.answer([{"body": "my card"}])[0].value == "card"


@pytest.mark.parametrize(
    ("request_", "found"), [({}, r"fields \[\]"), ({"text": 7}, "a int"), ({"txt": "a"}, "txt")]
)
def test_a_request_without_text_is_refused_with_what_it_has(
    request_: dict[str, object], found: str
) -> None:
    """The caller can mend it."""
    with pytest.raises(RequestError, match=found):
        fitted().answer([request_])


def test_an_unfitted_model_says_so() -> None:
    """Not an attribute error from the inside."""
    with pytest.raises(TierError, match="before it was fitted"):
        TfidfModel().answer([{"text": "a"}])
    with pytest.raises(TierError, match="before it was fitted"):
        TfidfModel().save(Path("nowhere"))


@pytest.mark.parametrize("rows", [[], ROWS[:3], [Example("1", {"text": "a"})]])
def test_rows_of_fewer_than_two_classes_are_refused(rows: list[Example]) -> None:
    """There is nothing to tell apart."""
    with pytest.raises(DataError, match="at least 2 classes"):
        TfidfModel().fit(rows, seed=0)


@pytest.mark.parametrize("wrong", [{"word_max": 0}, {"char_max": -1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    """The error names the number."""
    with pytest.raises(ValueError, match="found"):
        TfidfModel(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="found nan"):
        TfidfModel(inverse_penalty=float("nan"))


def test_answering_from_a_stored_model_loads_no_scikit_learn(tmp_path: Path) -> None:
    """A service starts without the second and the memory that it takes."""
    fitted().save(tmp_path)
    code = (
        "import sys; from pathlib import Path; from feasible.tiers import TfidfModel\n"
        f"m = TfidfModel(); m.load(Path({str(tmp_path)!r}))\n"
        "print(m.answer([{'text': 'my card'}])[0].value, 'sklearn' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["card", "False"]
