"""Features over events: one definition for training and serving, and how old they are.

A `FeatureSet` says which events of which streams are counted or summed over which stretch of time.
`compute` gives them for many requests at once, for training; `OnlineFeatures` gives them for one
request at a time, while events come in. Both give what was known at the time of the request, to the
last digit the same. This room never decides what a stale feature means for an answer.
"""

from feasible.features.batch import Computed, Requests, compute
from feasible.features.online import Event, OnlineFeatures, Read
from feasible.features.windows import DAY_MS, Feature, FeatureSet, Ratio, Window

__all__ = [
    "DAY_MS",
    "Computed",
    "Event",
    "Feature",
    "FeatureSet",
    "OnlineFeatures",
    "Ratio",
    "Read",
    "Requests",
    "Window",
    "compute",
]
