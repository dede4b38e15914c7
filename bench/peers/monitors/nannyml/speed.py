"""CBPE and univariate drift over a table: `python speed.py REFERENCE.npy CURRENT.npy`, JSON."""

import json
import sys

import nannyml
import numpy as np
import pandas as pd
from meter import measured


def frame(path: str) -> pd.DataFrame:
    """Give the features, then probability and truth in the last two columns."""
    table = np.load(path)
    data = pd.DataFrame(table[:, :-2], columns=[f"x{i}" for i in range(table.shape[1] - 2)])
    data["p"], data["y"] = table[:, -2], table[:, -1].astype(int)
    data["yhat"] = (data["p"] >= 0.5).astype(int)
    return data


reference, current = frame(sys.argv[1]), frame(sys.argv[2])
columns = [name for name in reference if name.startswith("x")]
cbpe = nannyml.CBPE(
    metrics=["roc_auc", "precision", "recall", "f1", "accuracy"],
    y_pred_proba="p",
    y_pred="yhat",
    y_true="y",
    problem_type="classification_binary",
    chunk_size=10_000,
).fit(reference)
drift = nannyml.UnivariateDriftCalculator(
    column_names=columns,
    continuous_methods=["kolmogorov_smirnov", "jensen_shannon", "wasserstein"],
    chunk_size=10_000,
).fit(reference)
estimate_s, estimate_mib, _ = measured(lambda: cbpe.estimate(current.drop(columns="y")))
drift_s, drift_mib, _ = measured(lambda: drift.calculate(current))
print(json.dumps({"seconds": [estimate_s, drift_s], "mib": estimate_mib + drift_mib}))
