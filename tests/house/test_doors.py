"""A room is entered by its front door, and the door lists everything behind it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
DOORS = sorted(
    door
    for door in (SOURCE / "feasible").rglob("__init__.py")
    if len(door.relative_to(SOURCE).parts)
    <= 3  # feasible/__init__.py and feasible/ROOM/__init__.py
)
ENGINES = ("onnxruntime", "psycopg", "ray", "redis", "sklearn", "xllamacpp")

each_door = pytest.mark.parametrize(
    "door", DOORS, ids=lambda door: ".".join(door.relative_to(SOURCE).parent.parts)
)


def _listed(tree: ast.Module) -> list[str] | None:
    """Give the names in `__all__` as they are written, or None without such a list."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if node_value := getattr(node, "value", None):
            for target in targets:
                if isinstance(target, ast.Name) and target.id == "__all__":
                    return list(ast.literal_eval(node_value))
    return None


def _public(tree: ast.Module) -> set[str]:
    """Give the names that a door defines or brings in from our own rooms, without underscores."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").split(".")[0] == "feasible"
        ):
            names.update(alias.asname or alias.name for alias in node.names)
    return {name for name in names if not name.startswith("_")}


def _order(name: str) -> tuple[int, list[tuple[bool, int, str]]]:
    """Give the order that ruff sorts by: CONSTANTS, Classes, functions; 2 before 10."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    parts = re.findall(r"\d+|\D+", name)
    return kind, [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


@each_door
def test_a_door_lists_every_public_name_and_nothing_else(door: Path) -> None:
    """`__all__` is what the door offers: no public name is left out, and none is invented."""
    tree = ast.parse(door.read_text(encoding="utf-8"))
    listed = _listed(tree)
    assert listed is not None, f"{door} has no __all__"
    assert set(listed) >= _public(tree), "public, but not in __all__"

    room = importlib.import_module(".".join(door.relative_to(SOURCE).parent.parts))
    missing = [name for name in listed if not hasattr(room, name)]
    assert not missing, "in __all__, but not there"


@each_door
def test_a_door_lists_its_names_sorted_and_once(door: Path) -> None:
    """`__all__` is sorted as ruff sorts it, so that two people who add a name do not collide."""
    listed = _listed(ast.parse(door.read_text(encoding="utf-8"))) or []
    assert listed == sorted(set(listed), key=_order)


@each_door
def test_a_door_says_what_its_room_is_for(door: Path) -> None:
    """The first thing a newcomer reads in a room is what it is for."""
    assert ast.get_docstring(ast.parse(door.read_text(encoding="utf-8")))


def test_importing_feasible_loads_no_engine() -> None:
    """`import feasible` costs a script nothing that it did not ask for."""
    code = f"import sys, feasible; print([e for e in {ENGINES!r} if e in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_what_serves_brings_no_planner_along() -> None:
    """A service of rules alone fits into little memory: what plans and trains is not loaded."""
    heavy = (*ENGINES, "pyarrow", "scipy", "tokenizers")
    code = f"import feasible.service, sys; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_importing_feasible_prints_and_warns_nothing() -> None:
    """`import feasible` has no side effect that a user could see."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import feasible"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_type_checkers_find_our_types() -> None:
    """The marker file is what makes annotations count for those who import us."""
    assert (SOURCE / "feasible" / "py.typed").is_file()
