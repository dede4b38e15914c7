"""A feature by what somebody typed: a folder, or the name of a reference system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from feasible.errors import BriefError, nearest

if TYPE_CHECKING:
    from feasible.folder import Feature

__all__ = ["open_feature"]


def open_feature(name: str) -> Feature:
    """Open a feature folder or a reference system by name.

    Raises:
        BriefError: It is neither.
    """
    from feasible.folder import open_folder
    from feasible.systems import system_folder, system_names

    path = Path(name)
    if (path / "brief.yaml").is_file():
        return open_folder(path)
    folder = system_folder(name)
    if folder is not None:
        return open_folder(folder, work=Path(".feasible") / name)
    close = nearest(name, system_names())
    raise BriefError(
        f"no feature {name!r}",
        asked=f"{path / 'brief.yaml'}, or a reference system of that name",
        found=f"reference systems: {', '.join(system_names())}",
        attempt=f"`{close}`?" if close else f"feasible new {name}",
    )
