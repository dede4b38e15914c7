"""An interview on disk: one record a line, only ever added to, so that a killed one can go on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from feasible.clock import Clock, VirtualClock
from feasible.errors import BadInput
from feasible.rubric.interview.transcript import INTERVIEWER, Transcript, Turn
from feasible.rubric.spoken import STAGES

__all__ = ["LENGTH_S", "Mode", "Record", "Session", "elapsed_s", "open_session", "start_session"]

LENGTH_S: Final = sum(STAGES.values())
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")

Mode = Literal["exam", "practice"]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened, with the time of the machine that held the interview."""

    seq: int
    at_s: float
    """Seconds of the interview that had passed."""
    kind: Literal["started", "said", "stage", "asked", "twist", "paused", "resumed", "ended"]
    text: str = ""
    key: str = ""
    """What it is, so that it happens once: `stage:design`, `twist:peak`, `ask:load`."""
    evidence: str = ""
    """The numbers that a question was computed from."""
    prompt: str = ""
    mode: Mode = "practice"
    seed: int = 0
    monotonic_s: float = 0.0
    wall: str = ""
    boot: str = ""


class Session:
    """The file of one interview.

    Args:
        path: Where it is kept.
        records: What it holds already.
    """

    def __init__(self, path: Path, records: list[Record]) -> None:
        """Take over a file and what it holds."""
        self.path = path
        self.records = records

    @property
    def started(self) -> Record:
        """Give the first record: prompt, mode and seed."""
        return self.records[0]

    @property
    def is_over(self) -> bool:
        """Claim that nobody may add to it."""
        return self.records[-1].kind == "ended"

    @property
    def is_paused(self) -> bool:
        """Claim that its clock stands still."""
        marks = [r.kind for r in self.records if r.kind in {"paused", "resumed"}]
        return bool(marks) and marks[-1] == "paused"

    def has(self, key: str) -> bool:
        """Claim that something that happens once has happened."""
        return any(record.key == key for record in self.records)

    def add(
        self,
        kind: str,
        at_s: float,
        clock: Clock,
        *,
        text: str = "",
        key: str = "",
        evidence: str = "",
    ) -> Record:
        """Write one record and make sure that it is on disk before anybody goes on.

        Raises:
            BadInput: The interview is over.
        """
        if self.is_over:
            raise BadInput(f"{self.path} is over", attempt="start another one")
        record = msgspec.convert(
            {
                "seq": len(self.records),
                "at_s": round(at_s, 3),
                "kind": kind,
                "text": " ".join(text.split()),
                "key": key,
                "evidence": evidence,
                **_stamp(clock),
            },
            Record,
        )
        _append(self.path, record)
        self.records.append(record)
        return record

    def transcript(self) -> Transcript:
        """Give what was said and asked as an interview that can be read."""
        spoken = {"started", "said", "asked", "twist"}
        shown = [r for r in self.records if r.kind in spoken and r.text]
        turns = tuple(
            Turn(
                at_s=record.at_s,
                speaker=INTERVIEWER if record.kind != "said" else "candidate",
                text=record.text,
                line=line,
            )
            for line, record in enumerate(shown, start=1)
        )
        return Transcript(name=self.path.name, turns=turns)


def start_session(
    path: Path, *, prompt: str, text: str, mode: Mode, seed: int, clock: Clock
) -> Session:
    """Begin an interview in a new file.

    Raises:
        BadInput: The file is there already, or cannot be written.
    """
    first = msgspec.convert(
        {
            "seq": 0,
            "at_s": 0.0,
            "kind": "started",
            "text": text,
            "prompt": prompt,
            "mode": mode,
            "seed": seed,
            **_stamp(clock),
        },
        Record,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb"):
            pass
    except FileExistsError as error:
        raise BadInput(
            f"{path} holds an interview already",
            attempt=f"--resume --session {path}, or another file",
        ) from error
    except OSError as error:
        raise BadInput(f"no interview can be kept at {path}", found=str(error)) from error
    _append(path, first)
    return Session(path, [first])


def open_session(path: Path) -> Session:
    """Open an interview; a last line that was cut off while it was written is left out.

    Raises:
        BadInput: It is not there, or it is no interview.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"no interview at {path}", found=str(error), attempt="feasible practice lists prompts"
        ) from error
    whole = raw[: raw.rfind(b"\n") + 1]
    records = list(_records(whole, path))
    if not records or records[0].kind != "started":
        raise BadInput(f"{path} is no interview", found="no first record that says of which prompt")
    if whole != raw:  # the torn line was never acknowledged: what comes next must not join it
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return Session(path, records)


def elapsed_s(session: Session, clock: Clock) -> float:
    """Give how much of the interview has passed.

    Time away counts in an exam, which nobody can pause; in practice it does not. A machine that
    was started anew has another origin of its monotonic clock, so the wall clock is asked instead.

    Args:
        session: The interview.
        clock: The machine's clock, or one that moves when told to.
    """
    last = session.records[-1]
    if isinstance(clock, VirtualClock):
        return max(last.at_s, clock.monotonic())
    if session.is_paused:
        return last.at_s
    now = _stamp(clock)
    if now["boot"] == last.boot:
        return last.at_s + max(float(str(now["monotonic_s"])) - last.monotonic_s, 0.0)
    away = (clock.now() - msgspec.convert(last.wall, type(clock.now()))).total_seconds()
    return last.at_s + max(away, 0.0)


def _records(whole: bytes, path: Path) -> Iterator[Record]:
    for line, raw in enumerate(whole.splitlines(), start=1):
        try:
            record = msgspec.json.decode(raw, type=Record)
        except msgspec.DecodeError as error:
            raise BadInput(
                f"{path}:{line} is no record of an interview", found=str(error)
            ) from error
        if record.seq != line - 1:
            raise BadInput(
                f"{path}:{line} is out of its place",
                asked=f"record {line - 1}",
                found=f"record {record.seq}",
            )
        yield record


def _append(path: Path, record: Record) -> None:
    with path.open("ab") as file:
        file.write(msgspec.json.encode(record) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _stamp(clock: Clock) -> dict[str, object]:
    boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
    return {"monotonic_s": clock.monotonic(), "wall": clock.now().isoformat(), "boot": boot}
