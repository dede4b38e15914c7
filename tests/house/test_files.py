"""What a committed file may be called, hold and weigh."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
VAGUE_NAMES = {"common.py", "helpers.py", "misc.py", "utils.py"}
LONGEST_FILE_LINES = 500
LARGEST_FILE_BYTES = 1_000_000

# Files that are longer than the limit for a good reason. This list may only shrink.
LONG_FILES: frozenset[str] = frozenset()

# Written in pieces, so that this file does not name them.
REGISTRY_HOSTS = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry" + ".npmjs.org",
    "registry" + ".yarnpkg.com",
    "crates" + ".io",
    "proxy." + "golang.org",
    "deb." + "debian.org",
)
MACHINE_PATH = re.compile(r"(?:^|[^\w.])/(?:" + "work" + "|" + "farm" + ")/")


def _committed() -> list[Path]:
    """Give every file that git tracks and that is still there."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def _texts() -> dict[str, str]:
    """Give the text of every committed text file, by its name."""
    texts = {}
    for path in _committed():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            texts[str(path.relative_to(ROOT))] = content.decode("utf-8", errors="replace")
    return texts


def test_no_file_has_a_name_that_says_nothing() -> None:
    """A file is named after the noun that lives in it."""
    assert not [p for p in (ROOT / "src").rglob("*.py") if p.name in VAGUE_NAMES]


def test_no_source_file_grows_past_what_one_can_read() -> None:
    """Past 500 lines, two ideas live in one file; an exception that got shorter leaves the list."""
    long = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE_LINES
    }
    assert long == LONG_FILES


def test_no_committed_file_is_large() -> None:
    """Data and weights are fetched and checked by hash; a clone stays small."""
    large = {str(p.relative_to(ROOT)): p.stat().st_size for p in _committed()}
    assert not {name: size for name, size in large.items() if size > LARGEST_FILE_BYTES}


def test_no_committed_file_names_a_package_registry() -> None:
    """Where packages come from is the user's choice, made in PIP_* and UV_*."""
    found = {
        name: host for name, text in _texts().items() for host in REGISTRY_HOSTS if host in text
    }
    assert not found


def test_no_committed_file_names_a_path_of_one_machine() -> None:
    """A path that exists on one machine only is a fault on every other one."""
    found = {
        f"{name}:{number}": line.strip()[:120]
        for name, text in _texts().items()
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATH.search(line)
    }
    assert not found


def test_the_lock_files_pin_and_hash_every_package_and_carry_no_address() -> None:
    """An install is the same everywhere, and comes from wherever the user says."""
    for name in ("requirements.lock", "requirements-llm.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        pin = re.compile(r"[\w.-]+==\S+.*--hash=sha256:", re.DOTALL)
        entries = re.split(r"\n(?=\S)", text.strip())
        assert not [entry for entry in entries if not pin.match(entry)]


def test_ci_runs_the_same_commands_as_a_person() -> None:
    """What a person can run before sending a change is what decides about it."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make --no-print-directory test\n" in script
    assert "make --no-print-directory check\n" in script
    assert "bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
