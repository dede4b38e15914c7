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
    from feasible.feedback.plug_in import PlugIn, PlugInFigures
    from feasible.feedback.proxies import ProxyQuality, proxy_quality
    from feasible.feedback.retraining import (
        RetrainAdvice,
        advise_retraining,
        growth_of_loss,
        retrain_at,
        steady_days,
    )
    from feasible.feedback.shift import Moved, Reference
    from feasible.feedback.unlabelled import (
        Estimate,
        Estimates,
        Tallies,
        estimate_unlabelled,
        recall_bounds,
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
    "Moved",
    "PlugIn",
    "PlugInFigures",
    "ProxyQuality",
    "Reference",
    "RetrainAdvice",
    "Tallies",
    "Watched",
    "advise_retraining",
    "arrivals_of",
    "estimate_unlabelled",
    "growth_of_loss",
    "import_labels",
    "proxy_quality",
    "read_labels",
    "recall_bounds",
    "retrain_at",
    "steady_days",
    "stream_labels",
    "watch_feature",
]

# Memory and start-up time: a service that nobody asks for its headroom needs no scipy, 40 MB.
_HOME: Final = {
    "recall_bounds": "unlabelled",
    "steady_days": "retraining",
    "retrain_at": "retraining",
    "growth_of_loss": "retraining",
    "advise_retraining": "retraining",
    "RetrainAdvice": "retraining",
    "proxy_quality": "proxies",
    "ProxyQuality": "proxies",
    "Reference": "shift",
    "Moved": "shift",
    "PlugInFigures": "plug_in",
    "PlugIn": "plug_in",
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
