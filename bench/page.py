"""The page of measurements: what a benchmark gives, and where and when it was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Section", "machine", "table", "write_page"]

_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Section:
    """One benchmark's part of the page.

    Attributes:
        title: Heading; its anchor is the heading in lower case with dashes.
        command: What measures it again.
        text: Markdown: tables and what they mean.
    """

    title: str
    command: str
    text: str


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a Markdown table; every column but the first is set to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Describe this machine: processor, cores, memory and Python."""
    model = platform.processor() or platform.machine()
    if _CPU_INFO.exists():
        names = [line for line in _CPU_INFO.read_text().splitlines() if "model name" in line]
        model = names[0].split(":", 1)[1].strip() if names else model
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {memory_gb:.0f} GB, Python {platform.python_version()}"


def write_page(sections: Sequence[Section], path: Path) -> None:
    """Write the page, every section with its command, the machine and the day.

    Sections of an earlier page that were not measured again stay, with the day on which they were.
    """
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    parts = dict(_sections(path))
    for section in sections:
        measured = f"Measured by `{section.command}` on {day}, {machine()}."
        parts[section.title] = f"{measured}\n\n{section.text.strip()}"
    lines = [
        "# Measurements",
        "",
        "Every figure here was measured by `make bench`, which writes this page;",
        "`python -m bench NAME ...` measures some of its sections again.",
        "Other work on the machine moves figures of time; ratios between lines of one table were",
        "measured in the same run.",
    ]
    for title, text in parts.items():
        lines += ["", f"## {title}", "", text.strip()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _sections(path: Path) -> list[tuple[str, str]]:
    """Give title and text of each section of a page; none where there is no page."""
    if not path.exists():
        return []
    _, *found = path.read_text(encoding="utf-8").split("\n## ")
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in found]
