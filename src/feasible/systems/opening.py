"""From a name on the command line to a feature: a folder of one's own, or a reference system."""

from __future__ import annotations

from pathlib import Path

from feasible.errors import BriefError, nearest
from feasible.folder import Feature, open_folder
from feasible.systems.folders import system_folder, system_names

__all__ = ["open_feature"]


def open_feature(name: str) -> Feature:
    """Open a feature folder or a reference system by name.

    Raises:
        BriefError: It is neither.
    """
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
