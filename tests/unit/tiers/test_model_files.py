from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from feasible.errors import ModelFileError
from feasible.tiers.model_files import StoredModel, read_model, write_model

MODEL = StoredModel("t/1", {"classes": ["a", "ü"]}, {"coef": np.arange(4, dtype=np.float32)})


def test_a_model_comes_back_as_it_was_with_the_same_hash(tmp_path: Path) -> None:
    """The hash does not depend on having been written."""
    write_model(tmp_path / "new", MODEL)
    read = read_model(tmp_path / "new", "t/1")
    assert read.facts == MODEL.facts
    assert read.content_hash == MODEL.content_hash


def test_the_hash_follows_facts_and_arrays() -> None:
    """Either can change answers."""
    other_facts = StoredModel("t/1", {"classes": ["a", "b"]}, MODEL.arrays)
    other_arrays = StoredModel("t/1", MODEL.facts, {"coef": np.ones(4, np.float32)})
    assert len({MODEL.content_hash, other_facts.content_hash, other_arrays.content_hash}) == 3


def test_the_same_model_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    """A plan's hash of its models does not depend on the hour."""
    for name in ("one", "two"):
        write_model(tmp_path / name, MODEL)
    for file in ("model.json", "arrays.npz"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_another_format_is_refused_by_name(tmp_path: Path) -> None:
    """A model of one tier is not read by another."""
    write_model(tmp_path, MODEL)
    with pytest.raises(ModelFileError, match=r"(?s)format t/2.*format t/1"):
        read_model(tmp_path, "t/2")


def test_python_objects_are_refused(tmp_path: Path) -> None:
    """Loading a model must not run code."""
    write_model(tmp_path, MODEL)
    evil = np.array([{"run": "me"}], dtype=object)
    np.savez(tmp_path / "arrays.npz", allow_pickle=True, coef=evil)
    with pytest.raises(ModelFileError, match="plain numbers only"):
        read_model(tmp_path, "t/1")


@pytest.mark.parametrize("damage", ["cut", "json", "list", "gone"])
def test_a_damaged_model_is_refused(tmp_path: Path, damage: str) -> None:
    """The error names the folder."""
    write_model(tmp_path, MODEL)
    facts, arrays = tmp_path / "model.json", tmp_path / "arrays.npz"
    if damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:50])
    elif damage == "json":
        facts.write_text("{")
    elif damage == "list":
        facts.write_text(json.dumps([1]))
    else:
        arrays.unlink()
    with pytest.raises(ModelFileError, match=tmp_path.name):
        read_model(tmp_path, "t/1")
