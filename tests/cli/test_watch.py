"""`feasible watch` refuses what it cannot answer, and says what to try."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from feasible.cli import main
from feasible.systems import write_starter


def run(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["feasible", *argv])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("at", ["yesterday", "2026-12-01T10:00:00"])
def test_a_time_without_its_zone_is_refused(
    at: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with the form that is wanted."""
    assert run(["watch", "support", "--at", at], monkeypatch) == 2
    assert "--at 2026-12-01T10:00:00Z" in capsys.readouterr().err


def test_a_feature_that_was_never_served_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no ledger yet, and that is said."""
    folder = write_starter(tmp_path / "triage")

    assert run(["watch", str(folder)], monkeypatch) != 0
    assert "nothing has been served" in capsys.readouterr().err
