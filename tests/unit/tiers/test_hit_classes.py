from __future__ import annotations

import numpy as np
import pytest

from feasible.errors import ModelFileError
from feasible.tiers.hit_classes import HitClasses, class_key, fit_classes


def blobs(n: int) -> tuple[np.ndarray, list[str | None]]:
    """Give points of length 1 around three axes."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, n)
    points = np.eye(8)[labels] + 0.2 * rng.standard_normal((n, 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), [f"class {label}" for label in labels]


def test_leaving_a_row_out_in_closed_form_is_fitting_without_it() -> None:
    """The short cut equals the long way, with the landmarks kept: here all rows are landmarks."""
    points, keys = blobs(60)
    out = np.arange(60)
    found = fit_classes(points, keys, left_out=out, seed=0)
    assert found is not None
    classes, values = found
    near = np.exp(3.0 * (points @ classes.landmarks.T - 1)).astype(float)
    gram = np.exp(3.0 * (classes.landmarks @ classes.landmarks.T - 1))
    penalty = 0.2 * gram + 1e-4 * np.eye(len(gram))
    targets = np.asarray([[key == name for name in classes.keys] for key in keys], float)
    for row in (0, 17, 59):
        rest = out != row
        normal = near[rest].T @ near[rest] + penalty
        expected = near[row] @ np.linalg.solve(normal, near[rest].T @ targets[rest])
        assert values[row] == pytest.approx(expected, abs=2e-3)


def test_a_row_left_out_does_not_know_its_own_label() -> None:
    """With labels drawn by lot, left-out rows are right no more often than chance."""
    points, _ = blobs(300)
    drawn = np.random.default_rng(8).integers(0, 3, 300)
    found = fit_classes(points, [f"{d}" for d in drawn], left_out=np.arange(300), seed=0)
    assert found is not None
    right = (found[1].argmax(axis=1) == drawn).mean()
    assert 0.2 < right < 0.47


def test_it_tells_classes_apart() -> None:
    """The likeliest class of a point near an axis is that axis's."""
    points, keys = blobs(200)
    found = fit_classes(points, keys, left_out=np.arange(0), seed=0)
    assert found is not None
    classes = found[0]
    named = [classes.keys[int(classes.values(point).argmax())] for point in points]
    assert np.mean([a == b for a, b in zip(named, keys, strict=True)]) > 0.97


@pytest.mark.parametrize("keys", [[], ["a"] * 9, ["a", "b", "c"] * 2, [None] * 6])
def test_answers_that_do_not_repeat_are_no_classes(keys: list[str | None]) -> None:
    """Two answers with three rows each are the fewest."""
    points = blobs(max(1, len(keys)))[0][: len(keys)]
    assert fit_classes(points, keys, left_out=np.arange(0), seed=0) is None


def test_a_label_is_text_a_number_or_a_boolean() -> None:
    """1 and "1" are two classes; a list is an answer of many parts and none."""
    assert len({class_key(value) for value in (1, "1", True)}) == 3
    assert class_key(["a"]) is None


def test_a_stored_classifier_that_does_not_fit_together_is_refused() -> None:
    """Weights of other classes would name the wrong ones."""
    found = fit_classes(*blobs(60), left_out=np.arange(0), seed=0)
    assert found is not None
    classes = found[0]
    assert HitClasses.read({}, {}) is None
    with pytest.raises(ModelFileError, match="do not fit together"):
        HitClasses.read({"classes": ["a"]}, classes.arrays())
