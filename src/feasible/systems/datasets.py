"""The data registry: public data sets by name, read from a local directory and checked by hash."""

from __future__ import annotations

import hashlib
import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

from feasible.errors import DataError, nearest

__all__ = ["DATA_DIR_VARIABLE", "dataset_file", "dataset_names"]

DATA_DIR_VARIABLE: Final = "FEASIBLE_DATA_DIR"
"""Environment variable that names the directory with one folder a data set."""


@cache
def _registry() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_name("datasets.toml").read_text(encoding="utf-8"))


def dataset_names() -> tuple[str, ...]:
    """Give the names in the registry, sorted."""
    return tuple(sorted(_registry()))


def dataset_file(name: str, file: str) -> Path:
    """Give the path of one file of a data set, after checking its content.

    Args:
        name: Name in the registry, for example `banking77`.
        file: File name inside the data set's folder.

    Raises:
        DataError: The data set is not known, the directory is not set, the file is not there, or
        its
            content is not what the registry recorded.
    """
    entry = _registry().get(name)
    if entry is None:
        close = nearest(name, dataset_names())
        raise DataError(
            f"unknown data set {name!r}",
            found=f"known data sets: {', '.join(dataset_names())}",
            attempt=f"--data {close}" if close else None,
        )
    base = os.environ.get(DATA_DIR_VARIABLE)
    wanted = f"{entry['folder']}/{file}"
    if not base:
        raise DataError(
            f"data set {name!r} is not shipped with Feasible ({entry['licence']})",
            asked=wanted,
            found=f"{DATA_DIR_VARIABLE} is not set",
            attempt=f"set {DATA_DIR_VARIABLE} to a directory that holds {wanted} "
            f"(columns {entry['columns']}; origin {entry['origin']})",
        )
    path = Path(base) / str(entry["folder"]) / file
    if not path.is_file():
        raise DataError(
            f"data set {name!r} is not in the data directory",
            asked=str(path),
            found="no such file",
            attempt=f"put {wanted} below {base} (origin {entry['origin']})",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != entry["files"][file]:
        raise DataError(
            f"{path} is not the file that the registry recorded",
            asked=f"sha256 {entry['files'][file]}",
            found=f"sha256 {digest}",
            attempt="put the recorded version there, or use the rows through a folder of your own",
        )
    return path
