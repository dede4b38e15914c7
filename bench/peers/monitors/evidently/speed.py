"""Evidently's default drift report: `python speed.py REFERENCE.npy CURRENT.npy`, JSON."""

import json
import sys

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from meter import measured


def frame(path: str) -> pd.DataFrame:
    """Give the features alone."""
    table = np.load(path)[:, :-2]
    return pd.DataFrame(table, columns=[f"x{i}" for i in range(table.shape[1])])


reference, current = frame(sys.argv[1]), frame(sys.argv[2])
shape = DataDefinition(numerical_columns=list(reference))
seconds, mib, _ = measured(
    lambda: Report([DataDriftPreset()]).run(
        Dataset.from_pandas(current, data_definition=shape),
        Dataset.from_pandas(reference, data_definition=shape),
    )
)
print(json.dumps({"seconds": [seconds], "mib": mib}))
