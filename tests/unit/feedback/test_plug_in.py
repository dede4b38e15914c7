from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from feasible.feedback.plug_in import PlugIn


@pytest.mark.parametrize("rows", [2_000, 60_000])
def test_figures_without_labels_are_those_with_them_while_scores_mean_the_same(rows: int) -> None:
    """A wrong scale of the scores is calibrated away, by a sigmoid or by a free curve."""
    rng = np.random.default_rng(0)
    true_p = rng.beta(0.5, 3, rows + 50_000)
    truth = rng.random(len(true_p)) < true_p
    score = true_p**0.7
    plug_in = PlugIn(score[:rows], truth[:rows], act_at=0.5)

    found = plug_in.figures(score[rows:], chunk=50_000)

    acted = score[rows:] >= 0.5
    assert abs(found.recall[0] - recall_score(truth[rows:], acted)) < 0.03
    assert abs(found.precision[0] - precision_score(truth[rows:], acted)) < 0.03
    assert abs(found.auc[0] - roc_auc_score(truth[rows:], score[rows:])) < 0.02
    assert "cannot see new patterns" in found.assumes


def test_a_cohort_of_one_truth_is_refused() -> None:
    """Nothing can be calibrated where nothing ever happened."""
    with pytest.raises(ValueError, match="both truths"):
        PlugIn(np.linspace(0, 1, 50), np.zeros(50, dtype=np.bool_), act_at=0.5)
