"""How a fitted tier is stored: a JSON file of facts, a file of plain arrays, nothing that runs."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feasible.errors import ModelFileError

__all__ = ["StoredModel", "read_model", "write_model"]

_FACTS: Final = "model.json"
_ARRAYS: Final = "arrays.npz"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """What a fitted tier consists of.

    Attributes:
        format: Name and number of the format, for example `feasible.tfidf/1`.
        facts: JSON values.
        arrays: Arrays of numbers.
    """

    format: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]

    @property
    def content_hash(self) -> str:
        """Give a hash of everything in it, the same before it is written and after it is read."""
        digest = hashlib.sha256(json.dumps([self.format, self.facts], sort_keys=True).encode())
        for name in sorted(self.arrays):
            array = self.arrays[name]
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def write_model(folder: Path, model: StoredModel) -> None:
    """Write a model into a folder, which is made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"format": model.format, **model.facts}
    (folder / _FACTS).write_text(json.dumps(facts, sort_keys=True), encoding="utf-8")
    np.savez(folder / _ARRAYS, allow_pickle=False, **dict(model.arrays))


def read_model(folder: Path, expected: str) -> StoredModel:
    """Read a model that `write_model` wrote.

    Args:
        folder: Where it is.
        expected: The format that the caller can use.

    Raises:
        ModelFileError: A file is missing or damaged, holds Python objects, or is another format.
    """
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        # Opened here: numpy forgets to close a file that turns out to be damaged.
        with (folder / _ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelFileError(
            f"the model in {folder} cannot be read",
            asked=f"{_FACTS} and {_ARRAYS}, plain numbers only",
            found=f"{type(error).__name__}: {error}",
            attempt="fit it again: feasible plan NAME",
        ) from error
    found = facts.pop("format", None) if isinstance(facts, dict) else None
    if found != expected:
        raise ModelFileError(
            f"the model in {folder} is of another kind",
            asked=f"format {expected}",
            found=f"format {found}",
            attempt="fit it again: feasible plan NAME",
        )
    return StoredModel(expected, facts, arrays)
