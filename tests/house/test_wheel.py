"""What an installed copy of Feasible carries."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_wheel_ships_every_file_of_every_room(tmp_path: Path) -> None:
    """Briefs, texts and tables are part of the product: without them no demo runs."""
    listing = subprocess.run(
        ["git", "ls-files", "src/feasible"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    committed = {name.removeprefix("src/") for name in listing.splitlines()}
    there = {name for name in committed if (ROOT / "src" / name).is_file()}

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )

    (wheel,) = tmp_path.glob("*.whl")
    assert there <= set(zipfile.ZipFile(wheel).namelist())
