from __future__ import annotations

import numpy as np
import pytest

from feasible.errors import DataError, ModelFileError
from feasible.schema import Example
from feasible.tiers.linear import LinearHead, fit_linear, labelled

X = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)


def rows(*labels: object) -> list[Example]:
    """Give one row per label."""
    return [Example(str(i), {"text": "x"}, label=label) for i, label in enumerate(labels)]


def test_rows_without_a_label_teach_nothing() -> None:
    """They are left out, not taken for a class."""
    kept, labels = labelled(rows("a", None, "b"), "t")
    assert (len(kept), labels) == (2, ["a", "b"])


@pytest.mark.parametrize("labels", [(), (None,), ("a",), ("a", "a"), ("a", None)])
def test_fewer_than_two_classes_cannot_be_learnt(labels: tuple[object, ...]) -> None:
    """The error counts what was found."""
    with pytest.raises(DataError, match=r"(?s)at least 2 classes.*found.*classes"):
        labelled(rows(*labels), "t")


def test_a_structured_label_is_refused_with_its_type() -> None:
    """This classifier gives words."""
    with pytest.raises(DataError, match="a dict"):
        labelled(rows("a", {"people": 2}), "t")


def test_the_score_is_the_softmax_share_of_the_answer() -> None:
    """By hand: logits ln 3 and 0 share 3/4 and 1/4."""
    head = LinearHead(
        ("yes", "no"), np.array([[np.log(3), 0]], np.float32), np.zeros(2, np.float32)
    )
    (answer,) = head.answers(np.ones((1, 1), np.float32))
    assert answer.value == "yes"
    assert answer.score == pytest.approx(0.75)


def test_two_classes_and_three_are_learnt_alike() -> None:
    """scikit-learn gives one column for two classes and three for three."""
    three = fit_linear(X, ["a"] * 20 + ["b"] * 20 + ["c"] * 20, inverse_penalty=10, seed=0)
    two = fit_linear(X[:40], ["a"] * 20 + ["b"] * 20, inverse_penalty=10, seed=0)
    assert [answer.value for answer in three.answers(np.eye(3, dtype=np.float32))] == [
        "a",
        "b",
        "c",
    ]
    assert [answer.value for answer in two.answers(np.eye(3, dtype=np.float32)[:2])] == ["a", "b"]


def test_a_two_class_score_is_scikit_learns_probability() -> None:
    """An independent implementation of the same share."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  the oracle of this test

    labels = ["a"] * 20 + ["b"] * 20
    oracle = LogisticRegression(C=10, max_iter=60).fit(X[:40], labels)
    scores = [
        a.score for a in fit_linear(X[:40], labels, inverse_penalty=10, seed=0).answers(X[:1])
    ]
    assert scores == [pytest.approx(oracle.predict_proba(X[:1]).max(), abs=1e-6)]


def test_answers_keep_the_type_of_the_label() -> None:
    """True, 1 and "1" are three classes."""
    labels: list[object] = [True] * 20 + [1] * 20 + ["1"] * 20
    head = fit_linear(X, labels, inverse_penalty=10, seed=0)
    values = [answer.value for answer in head.answers(np.eye(3, dtype=np.float32))]
    assert [type(value) for value in values] == [bool, int, str]


def test_parts_that_do_not_fit_together_are_refused() -> None:
    """A damaged model gives no answers."""
    coef, intercept = np.zeros((3, 2), np.float32), np.zeros(2, np.float32)
    arrays = {"coef": coef, "intercept": intercept}
    assert LinearHead.read({"classes": ["a", "b"]}, arrays, 3).classes == ("a", "b")
    with pytest.raises(ModelFileError, match="do not fit"):
        LinearHead.read({"classes": ["a", "b"]}, arrays, 4)
    with pytest.raises(ModelFileError, match="do not fit"):
        LinearHead.read({"classes": ["a"]}, arrays, 3)
    with pytest.raises(ModelFileError, match="not whole"):
        LinearHead.read({"classes": ["a", "b"]}, {"coef": coef}, 3)
