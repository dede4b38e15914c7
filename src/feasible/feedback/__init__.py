"""What came back: labels that arrive late, and how every promise stands by what is known now.

This room joins labels to decisions and judges the objectives of a brief on them, with the
definitions and the bounds of the plan's certificate. It never serves or plans, and
writes nothing to a ledger but the labels of a file. It keeps no more of them than its
figures need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from feasible.feedback.arrivals import Arrivals, arrivals_of
    from feasible.feedback.following import Following
    from feasible.feedback.headroom import HeadroomTracker
    from feasible.feedback.label_import import Imported, import_labels
    from feasible.feedback.labels_file import read_labels, stream_labels
    from feasible.feedback.unlabelled import (
        Estimate,
        Estimates,
        Tallies,
        estimate_unlabelled,
    )
    from feasible.feedback.upkeep import LayerUpkeep
    from feasible.feedback.watching import Alarm, ErrorEstimate, Watched, watch_feature

__all__ = [
    "Alarm",
    "Arrivals",
    "ErrorEstimate",
    "Estimate",
    "Estimates",
    "Following",
    "HeadroomTracker",
    "Imported",
    "LayerUpkeep",
    "Tallies",
    "Watched",
    "arrivals_of",
    "estimate_unlabelled",
    "import_labels",
    "read_labels",
    "stream_labels",
    "watch_feature",
]

# Memory and start-up time: a service that nobody asks for its headroom needs no scipy, 40 MB.
_HOME: Final = {
    "Alarm": "watching",
    "ErrorEstimate": "watching",
    "LayerUpkeep": "upkeep",
    "Watched": "watching",
    "watch_feature": "watching",
    "Arrivals": "arrivals",
    "arrivals_of": "arrivals",
    "Estimate": "unlabelled",
    "Estimates": "unlabelled",
    "Imported": "label_import",
    "Tallies": "unlabelled",
    "estimate_unlabelled": "unlabelled",
    "import_labels": "label_import",
    "stream_labels": "labels_file",
    "Following": "following",
    "HeadroomTracker": "headroom",
    "read_labels": "labels_file",
}


def __getattr__(name: str) -> Any:
    """Load a name's file when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List what the door offers."""
    return sorted(__all__)
