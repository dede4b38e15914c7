"""Feasible: declare what an AI feature may cost and must achieve, then keep the promise.

Every command is a function here: `review`, `plan`, `plan_from_profile`, `backtest`, `serve`,
`watch` and `add_labels`. They take a feature, opened with `open_folder`, or files.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from feasible.folder import Feature, open_folder
    from feasible.loop import (
        add_labels,
        backtest,
        plan,
        plan_from_profile,
        review,
        serve,
        verify_ledger,
        watch,
    )
    from feasible.schema import Brief, Plan, load_brief

__version__ = "0.1.0"

__all__ = [
    "Brief",
    "Feature",
    "Plan",
    "add_labels",
    "backtest",
    "load_brief",
    "open_folder",
    "plan",
    "plan_from_profile",
    "review",
    "serve",
    "verify_ledger",
    "watch",
]

# Start-up time: importing this package loads nothing until a name is asked for.
_HOME: Final = {
    "Brief": "feasible.schema",
    "Feature": "feasible.folder",
    "Plan": "feasible.schema",
    "load_brief": "feasible.schema",
    "open_folder": "feasible.folder",
}


def __getattr__(name: str) -> Any:
    """Load a name's room when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME.get(name, "feasible.loop")), name)


def __dir__() -> list[str]:
    """List what the door offers."""
    return sorted([*__all__, "__version__"])
