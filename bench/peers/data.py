"""Where the public data sets are on this machine."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["data_folder"]


def data_folder(name: str) -> Path | None:
    """Give a data set's folder below FEASIBLE_DATA_DIR, or None when there is none."""
    root = os.environ.get("FEASIBLE_DATA_DIR")
    folder = Path(root) / name if root else None
    return folder if folder is not None and folder.is_dir() else None
