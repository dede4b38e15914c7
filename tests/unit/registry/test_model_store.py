from __future__ import annotations

from pathlib import Path

import pytest

from feasible.errors import ModelFileError
from feasible.registry import folder_hash, store, verify
from feasible.schema import ModelFile


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Give a folder with a model in it."""
    folder = tmp_path / "made"
    (folder / "deep").mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    (folder / "deep" / "arrays").write_bytes(b"\0\1")
    return folder


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Give the folder of a plan."""
    return tmp_path / "plan"


def test_a_stored_model_is_found_again_unchanged(model: Path, plan: Path) -> None:
    """Path and hash are what a plan keeps; the path is relative to the plan."""
    stored = store(model, plan, name="tfidf")
    assert stored.sha256 == folder_hash(model)
    assert not Path(stored.path).is_absolute()
    found = verify(stored, plan)
    assert (found / "deep" / "arrays").read_bytes() == b"\0\1"


def test_a_fitted_tier_is_stored_by_saving_itself(plan: Path) -> None:
    """No folder in between."""

    class Fitted:
        def save(self, folder: Path) -> None:
            folder.mkdir()
            (folder / "word").write_text("learnt")

    assert (verify(store(Fitted(), plan, name="mine"), plan) / "word").read_text() == "learnt"


def test_the_same_content_is_stored_once_and_other_content_beside_it(
    model: Path, plan: Path
) -> None:
    """An old plan keeps its models when a new one is made."""
    first = store(model, plan, name="tfidf")
    assert store(model, plan, name="tfidf") == first
    (model / "model.json").write_text("[]")
    second = store(model, plan, name="tfidf")
    assert verify(first, plan) != verify(second, plan)
    assert len(list((plan / "models").iterdir())) == 2


@pytest.mark.parametrize("change", ["edit", "rename", "add", "remove"])
def test_any_change_is_refused_with_both_hashes(model: Path, plan: Path, change: str) -> None:
    """What was certified is what is served, or nothing is."""
    stored = store(model, plan, name="tfidf")
    folder = plan / stored.path
    if change == "edit":
        (folder / "model.json").write_text("{} ")
    elif change == "rename":
        (folder / "model.json").rename(folder / "model.jsn")
    elif change == "add":
        (folder / "more").write_text("")
    else:
        (folder / "model.json").unlink()
    with pytest.raises(ModelFileError, match=stored.sha256) as caught:
        verify(stored, plan)
    assert folder_hash(folder) in str(caught.value)


def test_storing_again_mends_a_damaged_copy(model: Path, plan: Path) -> None:
    """A new plan does not inherit the damage."""
    stored = store(model, plan, name="tfidf")
    (plan / stored.path / "model.json").write_text("damaged")
    assert store(model, plan, name="tfidf") == stored
    verify(stored, plan)


def test_a_missing_model_is_refused_by_name(plan: Path) -> None:
    """Not an error of the file system."""
    plan.mkdir()
    with pytest.raises(ModelFileError, match="gone"):
        verify(ModelFile(path="models/gone", sha256="0"), plan)


@pytest.mark.parametrize("path", ["../made", "/etc"])
def test_a_model_outside_the_plans_folder_is_refused(model: Path, plan: Path, path: str) -> None:
    """A plan from elsewhere must not point anywhere it likes."""
    plan.mkdir()
    with pytest.raises(ModelFileError, match="outside"):
        verify(ModelFile(path=path, sha256=folder_hash(model)), plan)


def test_an_odd_tier_name_makes_a_plain_folder_name(model: Path, plan: Path) -> None:
    """A name is for people; a folder stays within `models`."""
    for name in ("../../up", "größe / 2", "..", ""):
        stored = store(model, plan, name=name)
        assert verify(stored, plan).parent == plan / "models"


def test_nothing_to_store_is_refused(tmp_path: Path, plan: Path) -> None:
    """A missing folder and an empty one."""
    with pytest.raises(ModelFileError, match="no folder"):
        store(tmp_path / "none", plan, name="t")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFileError, match="no model"):
        store(tmp_path / "empty", plan, name="t")
    assert list((plan / "models").iterdir()) == []
