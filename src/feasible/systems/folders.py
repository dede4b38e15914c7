"""Where the reference systems stand."""

from __future__ import annotations

from pathlib import Path

__all__ = ["system_folder", "system_names"]

_HERE = Path(__file__).parent


def system_names() -> tuple[str, ...]:
    """Give the names of the reference systems, sorted."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/brief.yaml")))


def system_folder(name: str) -> Path | None:
    """Give the folder of a reference system, or None when there is none of that name."""
    return _HERE / name if name in system_names() else None
