"""Fitted models in folders that are named after the hash of what is in them."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final, Protocol

from feasible.errors import ModelFileError
from feasible.schema import ModelFile

__all__ = ["Savable", "file_hash", "folder_hash", "store", "verify"]

_MODELS: Final = "models"
_CHUNK_BYTES: Final = 1 << 20


class Savable(Protocol):
    """Anything that writes itself into a folder, for example a fitted tier."""

    def save(self, folder: Path) -> None:
        """Write what was learnt into a folder."""
        ...


def store(source: Path | Savable, into: Path, *, name: str) -> ModelFile:
    """Keep a model under the hash of its content.

    A stored model is complete or not there: it is written elsewhere and moved into place. The same
    content is stored once.

    Args:
        source: A folder of files, or a fitted tier that saves itself.
        into: Folder of the plan.
        name: Name of the tier.

    Raises:
        ModelFileError: The folder is missing or empty.
    """
    models = into / _MODELS
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=".new-") as scratch:
        fresh = Path(scratch) / "model"
        if isinstance(source, Path):
            _copy(source, fresh)
        else:
            source.save(fresh)
        digest = folder_hash(fresh)
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip(".") or "model"
        final = models / f"{stem}-{digest[:16]}"
        if final.is_dir() and folder_hash(final) != digest:
            shutil.rmtree(final)  # damaged since it was stored
        if not final.is_dir():
            try:
                fresh.rename(final)
            except OSError:
                if not final.is_dir():  # otherwise another process stored the same content
                    raise
    return ModelFile(path=str(final.relative_to(into)), sha256=digest)


def verify(model: ModelFile, base: Path) -> Path:
    """Give the folder of a stored model after making sure that nothing in it has changed.

    Args:
        model: What a plan names.
        base: Folder of the plan.

    Raises:
        ModelFileError: It is missing, lies outside `base`, or its hash is not the recorded one.
    """
    folder = base / model.path
    if not folder.resolve().is_relative_to(base.resolve()):
        raise ModelFileError(
            "a plan names a model outside its own folder",
            asked=f"a path within {base}",
            found=model.path,
            attempt="plan again, and keep plan.json and models/ together",
        )
    found = folder_hash(folder)
    if found != model.sha256:
        raise ModelFileError(
            f"the model in {folder} is not the one that the plan was certified with",
            asked=f"sha256 {model.sha256}",
            found=f"sha256 {found}",
            attempt="restore the folder, or plan again: feasible plan NAME",
        )
    return folder


def folder_hash(folder: Path) -> str:
    """Give one sha256 for the names and contents of all files in a folder, whatever their order.

    Raises:
        ModelFileError: The folder is missing or holds no file.
    """
    files = sorted((f for f in folder.rglob("*") if f.is_file()), key=lambda f: f.as_posix())
    if not files:
        raise ModelFileError(
            f"there is no model in {folder}",
            asked="a folder with at least one file",
            found="nothing" if not folder.exists() else "an empty folder",
            attempt="restore the folder, or plan again: feasible plan NAME",
        )
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{file_hash(path)}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """Give the sha256 of one file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _copy(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise ModelFileError(
            f"there is no folder {source} to store",
            asked=str(source),
            attempt="save the model first",
        )
    shutil.copytree(source, target)
