"""What was said, and when: the plain file of an interview, and a design document as turns.

An interview is a text file with a turn a line, `mm:ss speaker: text`. A line that starts with a
blank goes on with the turn above it; a line that starts with `#` is a note to the reader.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from feasible.errors import BadInput
from feasible.rubric.spoken import clock_text

__all__ = [
    "INTERVIEWER",
    "Transcript",
    "Turn",
    "format_turn",
    "parse_document",
    "parse_transcript",
    "read_file",
]

INTERVIEWER: Final = "interviewer"
MAX_CHARS: Final = 400_000
_TURN: Final = re.compile(r"(?P<min>\d{1,3}):(?P<s>[0-5]\d)\s+(?P<who>[^:]{1,40}):\s*(?P<text>.*)$")
_HEADING: Final = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*#*$")
_EXAMPLE: Final = "02:40 candidate: p99 under 200 ms, at most $0.003 a decision"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody said."""

    at_s: float | None
    """Seconds since the interview began; None in a document, which has only an order."""
    speaker: str
    text: str
    line: int
    """Line of the file, counted from 1."""

    @property
    def asks(self) -> bool:
        """Claim that the interviewer said it: it sets a topic and earns nothing."""
        return self.speaker == INTERVIEWER


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was said, in its order."""

    name: str
    turns: tuple[Turn, ...]

    @property
    def is_timed(self) -> bool:
        """Claim that the turns have times, as those of an interview have."""
        return any(turn.at_s is not None for turn in self.turns)


def parse_transcript(text: str, *, name: str = "interview.txt") -> Transcript:
    """Read an interview.

    Args:
        text: A turn a line, `mm:ss speaker: text`.
        name: Name to give in errors and evidence.

    Raises:
        BadInput: A line is no turn, time runs backwards, or nothing was said; with the line.

    Examples:
        >>> parse_transcript("02:40 candidate: p99 under 200 ms").turns[0].at_s
        160.0
    """
    _refuse_long(text, name)
    turns: list[Turn] = []
    for line, raw in enumerate(text.splitlines(), start=1):
        if not raw.strip() or raw.startswith("#"):
            continue
        if raw[0].isspace() and turns:
            last = turns[-1]
            turns[-1] = msgspec.structs.replace(last, text=f"{last.text} {raw.strip()}")
            continue
        found = _TURN.match(raw)
        if found is None:
            raise BadInput(
                f"{name}:{line} is no turn of an interview",
                asked="mm:ss speaker: text",
                found=raw[:80],
                attempt=f"write it like `{_EXAMPLE}`",
            )
        at_s = 60.0 * int(found["min"]) + int(found["s"])
        if turns and turns[-1].at_s is not None and at_s < turns[-1].at_s:
            raise BadInput(
                f"{name}:{line} was said before the line above it",
                asked="turns in the order of their times",
                found=f"{found['min']}:{found['s']} after {clock_text(turns[-1].at_s)}",
            )
        speaker = found["who"].strip().lower()
        turns.append(Turn(at_s=at_s, speaker=speaker, text=found["text"].strip(), line=line))
    if not any(turn.text and not turn.asks for turn in turns):
        raise BadInput(
            f"{name} holds no answer", asked="mm:ss speaker: text", attempt=f"`{_EXAMPLE}`"
        )
    return Transcript(name=name, turns=tuple(turns))


def parse_document(text: str, *, name: str = "design.md") -> Transcript:
    """Read a design document: its paragraphs in their order, each under its heading.

    Raises:
        BadInput: It is empty, or too long.
    """
    _refuse_long(text, name)
    turns: list[Turn] = []
    is_open = False
    for line, raw in enumerate(text.splitlines(), start=1):
        heading = _HEADING.match(raw)
        if heading is not None:  # a heading sets a topic, as a question does
            turns.append(Turn(at_s=None, speaker=INTERVIEWER, text=heading["title"], line=line))
            is_open = False
        elif not raw.strip():
            is_open = False
        elif is_open:
            last = turns[-1]
            turns[-1] = msgspec.structs.replace(last, text=f"{last.text} {raw.strip(' -*')}")
        else:
            said = raw.strip(" -*\t")
            turns.append(Turn(at_s=None, speaker="author", text=said, line=line))
            is_open = True
    if not any(turn.text and not turn.asks for turn in turns):
        raise BadInput(f"{name} holds no design", found="no paragraph")
    return Transcript(name=name, turns=tuple(turns))


def read_file(path: Path) -> Transcript:
    """Read an interview (`.txt`) or a design document (`.md`) from a file.

    Raises:
        BadInput: It is not there, not UTF-8, or no interview.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read", found=str(error), attempt="a UTF-8 text file"
        ) from error
    parse = parse_document if path.suffix.lower() in {".md", ".markdown"} else parse_transcript
    return parse(text, name=path.name)


def format_turn(turn: Turn) -> str:
    """Give a turn as the line that reads back as it."""
    return f"{clock_text(turn.at_s or 0.0)} {turn.speaker}: {' '.join(turn.text.split())}"


def _refuse_long(text: str, name: str) -> None:
    if len(text) > MAX_CHARS:
        raise BadInput(
            f"{name} is too long to be read as a design",
            found=f"{len(text):,} characters",
            attempt=f"at most {MAX_CHARS:,}",
        )
