from __future__ import annotations

import numpy as np
import pytest

from feasible.feedback.proxies import proxy_quality


def test_accuracies_and_labels_are_found_without_a_true_label() -> None:
    """Five functions that abstain often: each accuracy, and that of the labels, within .03."""
    rng = np.random.default_rng(0)
    n, good = 40_000, np.array([0.9, 0.85, 0.75, 0.7, 0.65])
    truth = rng.random(n) < 0.3
    right = rng.random((n, 5)) < good
    votes = np.where(right, truth[:, None], ~truth[:, None]).astype(np.int64)
    votes[rng.random((n, 5)) < 0.4] = -1

    found = proxy_quality(votes)

    assert np.abs(found.accuracy - good).max() < 0.03
    assert np.abs(found.coverage - 0.6).max() < 0.02
    label = found.probability[found.covered] >= 0.5
    assert abs(found.label_accuracy - (label == truth[found.covered]).mean()) < 0.03
    assert np.isnan(found.probability[~found.covered]).all()
    assert "independently" in found.assumes


def test_two_functions_are_refused() -> None:
    """Where two disagree, nothing says who is right."""
    with pytest.raises(ValueError, match="three labelling functions"):
        proxy_quality(np.array([[1, 0, -1], [1, 1, -1]]))
