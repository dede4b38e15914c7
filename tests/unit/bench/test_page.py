"""The page of measurements keeps what was not measured again."""

from __future__ import annotations

from pathlib import Path

from bench.page import Section, write_page


def test_a_section_that_is_not_measured_again_stays(tmp_path: Path) -> None:
    """Of two sections one is measured again: its text is new, the other one is as it was."""
    page = tmp_path / "measurements.md"
    write_page([Section("One", "run one", "first"), Section("Two", "run two", "kept")], page)

    write_page([Section("One", "run one", "second")], page)

    text = page.read_text(encoding="utf-8")
    assert text.count("## One") == text.count("## Two") == 1
    assert "second" in text
    assert "first" not in text
    assert "kept" in text
    assert text.index("## One") < text.index("## Two")
