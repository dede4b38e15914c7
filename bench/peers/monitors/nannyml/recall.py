"""CBPE's recall of weeks of the late world: `python recall.py WEEKS.npz`, one line of JSON.

The file holds the scores of the grid, and for each world its rows and frauds of reference days and
the rows of the weeks that are asked about, counted by score.
"""

import json
import sys

import nannyml
import numpy as np
import pandas as pd


def frame(score: np.ndarray, rows: np.ndarray, fraud: np.ndarray | None = None) -> pd.DataFrame:
    """Give one row for each decision, frauds first within a score."""
    p = np.repeat(score, rows)
    table = pd.DataFrame({"p": p, "yhat": (p >= 0.5).astype(int)})
    if fraud is not None:
        pairs = np.column_stack([fraud, rows - fraud]).ravel()
        table["y"] = np.repeat(np.tile([1, 0], len(rows)), pairs)
        table = table.sample(frac=1.0, random_state=0).reset_index(drop=True)
    return table


data = np.load(sys.argv[1])
score, found = data["score"], []
for world in range(len(data["reference_rows"])):
    reference = frame(score, data["reference_rows"][world], data["reference_fraud"][world])
    cbpe = nannyml.CBPE(
        metrics=["recall"],
        y_pred_proba="p",
        y_pred="yhat",
        y_true="y",
        problem_type="classification_binary",
        chunk_size=len(reference),
    ).fit(reference)
    weeks = []
    for rows in data["weeks"][world]:
        week = frame(score, rows)
        cbpe.chunker = nannyml.chunk.SizeBasedChunker(chunk_size=len(week))
        shown = cbpe.estimate(week).to_df()
        weeks.append(float(shown[("recall", "value")].iloc[-1]))
    found.append(weeks)
print(json.dumps(found))
