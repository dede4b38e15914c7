from __future__ import annotations

import numpy as np
import pytest

from feasible.errors import DataError, ModelFileError
from feasible.schema import Example
from feasible.tiers.linear import LinearHead, check_care, fit_linear, labelled, labels_on

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


def test_care_answers_the_dear_class_where_it_costs_least_in_expectation() -> None:
    """By hand: shares 3/4 and 1/4; missing the second costs 4 times: 4/7 against 3/7."""
    head = LinearHead(
        ("cheap", "dear"), np.array([[np.log(3), 0]], np.float32), np.zeros(2, np.float32)
    )
    one = np.ones((1, 1), np.float32)

    assert head.answers(one)[0].value == "cheap"
    (careful,) = head.careful({"dear"}, care=4).answers(one)
    assert careful.value == "dear"
    assert careful.score == pytest.approx(4 / 7)
    (barely,) = head.careful({"dear"}, care=2).answers(one)
    assert barely.value == "cheap"
    assert barely.score == pytest.approx(3 / 5)


def test_the_labels_of_a_slice_are_those_with_most_rows_there() -> None:
    """Half of the rows are enough; a slice that no label lies on is refused with its neighbour."""
    marked = [
        Example(str(i), {"text": "x"}, label=label, slices=frozenset({"risky"} if inside else ()))
        for i, (label, inside) in enumerate(
            [("a", True), ("a", False), ("b", True), ("b", False), ("b", False), ("c", False)]
        )
    ]
    assert labels_on(marked, "risky", "t") == {"a"}
    with pytest.raises(DataError, match=r"(?s)'riskyy'.*`risky`"):
        labels_on(marked, "riskyy", "t")


@pytest.mark.parametrize(("on", "care"), [("risky", 1.0), ("", 2.0), ("risky", 0.5)])
def test_care_that_would_do_nothing_is_refused(on: str, care: float) -> None:
    """A slice without a price, a price without a slice, and a price below any other error's."""
    with pytest.raises(ValueError, match="care"):
        check_care(on, care)
    check_care("risky", 4)
    check_care("", 1)
