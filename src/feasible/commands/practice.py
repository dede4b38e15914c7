"""`feasible practice`: the 45-minute mock interview, in a terminal or from a file."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from feasible.clock import SystemClock, VirtualClock
from feasible.commands.console import AsJson, open_feature, print_json
from feasible.errors import BadInput

if TYPE_CHECKING:
    from feasible.clock import Clock
    from feasible.rubric.interview import Case, Debrief, Record, Session, Transcript, Twist

__all__ = ["practice"]

_FOLDER: Final = Path(".feasible") / "practice"
_HELP: Final = "type your answer and press Enter; /time, /pause, /resume (practice only), /end"


def practice(
    prompt: Annotated[
        str | None, typer.Argument(help="A prompt; without one, all of them are listed.")
    ] = None,
    mode: Annotated[
        Literal["practice", "exam"],
        typer.Option(help="An exam cannot be paused, and time away counts."),
    ] = "practice",
    answers: Annotated[
        Path | None,
        typer.Option(
            help="Judge an interview (`mm:ss speaker: text` a line) or a design document (.md)."
        ),
    ] = None,
    session: Annotated[
        Path | None, typer.Option(help="File that the interview is kept in.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interview that was cut off.")
    ] = False,
    clock: Annotated[
        Literal["real", "typed"],
        typer.Option(help="typed: every line begins with its own `mm:ss`, to rehearse fast."),
    ] = "real",
    interviewer: Annotated[
        bool,
        typer.Option(
            "--interviewer",
            help="Two people, one screen: show the numbers behind each question and a live rubric.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Chooses the twists.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Hold the 45-minute mock interview, and say what it earned and why."""
    from feasible.rubric.interview import case_named, cases, read_file

    if prompt is None:
        if as_json:
            print_json(cases())
            return
        for case in cases():
            print(f"{case.name:<11} {case.domain:<28} {case.ask}")
        return
    case = case_named(prompt)
    if answers is not None:
        if resume or session is not None:
            raise BadInput(
                "answers from a file are judged as they are",
                asked="--answers with --session or --resume",
                attempt=f"feasible practice {prompt} --answers {answers}",
            )
        _show(_judged(case, read_file(answers), seed=seed, last=None), as_json=as_json)
        return
    held, ticking = _session(case, session, mode=mode, seed=seed, clock=clock, resume=resume)
    _hold(held, case, ticking, is_typed=clock == "typed", shows_all=interviewer)
    last = _attempt_before(held, case)
    found = _judged(case, held.transcript(), seed=held.started.seed, last=last)
    _show(found, as_json=as_json)
    print(f"kept in {held.path}", file=sys.stderr)


def _session(
    case: Case,
    path: Path | None,
    *,
    mode: Literal["practice", "exam"],
    seed: int,
    clock: str,
    resume: bool,
) -> tuple[Session, Clock]:
    from feasible.rubric.interview import open_session, start_session

    ticking: Clock = SystemClock()
    if clock == "typed":
        ticking = VirtualClock(SystemClock().now())
    if not resume:
        path = (
            _FOLDER / f"{case.name}-{len(_attempts(_FOLDER, case)) + 1}.jsonl"
            if path is None
            else path
        )
        held = start_session(
            path, prompt=case.name, text=case.ask, mode=mode, seed=seed, clock=ticking
        )
        return held, ticking
    if path is None:
        kept = _attempts(_FOLDER, case)
        if not kept:
            raise BadInput(
                f"no interview about {case.name} to go on with",
                asked="--resume",
                found=f"nothing in {_FOLDER}",
                attempt=f"feasible practice {case.name}, or --session FILE",
            )
        path = kept[-1]
    held = open_session(path)
    if held.started.prompt != case.name:
        raise BadInput(
            f"{path} is about another prompt",
            asked=case.name,
            found=held.started.prompt,
            attempt=f"feasible practice {held.started.prompt} --resume --session {path}",
        )
    if held.started.mode == "practice" and not held.is_over:
        at_s = held.records[-1].at_s  # time away counts in an exam alone
        if not held.is_paused:
            held.add("paused", at_s, ticking)
        held.add("resumed", at_s, ticking)
    return held, ticking


def _attempts(folder: Path, case: Case) -> list[Path]:
    return sorted(folder.glob(f"{case.name}-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)


def _attempt_before(held: Session, case: Case) -> Debrief | None:
    """Judge the last finished attempt at the same prompt that is kept beside this one."""
    from feasible.rubric.interview import open_session

    for path in reversed(_attempts(held.path.parent, case)):
        if path.resolve() != held.path.resolve():
            other = open_session(path)
            if other.is_over and other.started.prompt == case.name:
                return _judged(case, other.transcript(), seed=other.started.seed, last=None)
    return None


def _judged(case: Case, transcript: Transcript, *, seed: int, last: Debrief | None) -> Debrief:
    from feasible import loop
    from feasible.rubric.interview import debrief

    hidden = case.found(lambda name: open_feature(name).found)
    return debrief(
        transcript,
        today=SystemClock().now().date(),
        seed=seed,
        reference=(hidden, loop.plan_from_brief(hidden)),
        last=last,
    )


def _show(found: Debrief, *, as_json: bool) -> None:
    from feasible.rubric.interview import debrief_text

    if as_json:
        print_json(found)
    else:
        print(debrief_text(found))


def _hold(held: Session, case: Case, clock: Clock, *, is_typed: bool, shows_all: bool) -> None:
    """Let the interview happen until its time is up, or somebody ends it."""
    from feasible.rubric.interview import twists_of

    twists = twists_of(
        case.found(lambda name: open_feature(name).found).brief, seed=held.started.seed
    )
    if isinstance(clock, VirtualClock):
        clock.advance(held.records[-1].at_s)
    print(f"{case.ask}\n({_HELP})", flush=True)
    _converse(held, clock, twists, is_typed=is_typed, shows_all=shows_all)


def _converse(
    held: Session,
    clock: Clock,
    twists: tuple[Twist, ...],
    *,
    is_typed: bool,
    shows_all: bool,
) -> None:
    from feasible.rubric.interview import LENGTH_S, catch_up, elapsed_s, next_due_s

    lines = _Lines()
    while not held.is_over:
        for record in catch_up(held, elapsed_s(held, clock), twists=twists, clock=clock):
            _say(record, shows_all=shows_all)
        if held.is_over:
            return
        waits = None if is_typed or held.is_paused else next_due_s(held, twists=twists)
        line = _line(lines, held, clock, until_s=waits)
        if line is None:
            continue
        if not line:  # the end of the input ends the interview
            held.add("ended", min(elapsed_s(held, clock), LENGTH_S), clock, key="end")
            return
        text = line.strip()
        if is_typed and isinstance(clock, VirtualClock):
            text = _typed(text, held, clock)
        for record in catch_up(held, elapsed_s(held, clock), twists=twists, clock=clock):
            _say(record, shows_all=shows_all)
        if text and not held.is_over:
            _take(text, held, clock)
            if shows_all and not text.startswith("/"):
                _live(held, twists)


class _Lines:
    """Lines of standard input that can be waited for; nothing is held back in a buffer."""

    def __init__(self) -> None:
        """Read from the process's own standard input."""
        self._file = sys.stdin.fileno()
        self._held = b""

    def next(self, *, within_s: float | None) -> str | None:
        """Give the next line; None when none came in time; an empty text at the end."""
        while b"\n" not in self._held:
            if within_s is not None and not select.select([self._file], [], [], within_s)[0]:
                return None
            read = os.read(self._file, 4096)
            if not read:
                rest, self._held = self._held, b""
                return rest.decode(errors="replace")
            self._held += read
        line, _, self._held = self._held.partition(b"\n")
        return line.decode(errors="replace") + "\n"


def _line(lines: _Lines, held: Session, clock: Clock, *, until_s: float | None) -> str | None:
    """Read a line; None when something is due before one comes."""
    from feasible.rubric.interview import elapsed_s

    if until_s is None:
        return lines.next(within_s=None)
    return lines.next(within_s=max(until_s - elapsed_s(held, clock), 0.0))


def _typed(text: str, held: Session, clock: VirtualClock) -> str:
    """Move the clock to the time that a line begins with, and give the rest of the line."""
    at, _, said = text.partition(" ")
    minutes, colon, seconds = at.partition(":")
    if not text:
        return ""
    if not (colon and minutes.isdigit() and seconds.isdigit() and int(seconds) < 60):  # noqa: PLR2004
        print("begin the line with its time, for example `02:40 p99 under 200 ms`", flush=True)
        return ""
    to_s = 60.0 * int(minutes) + int(seconds)
    if to_s < max(clock.monotonic(), held.records[-1].at_s):
        print(f"time does not run backwards: {at} is over", flush=True)
        return ""
    clock.advance(to_s - clock.monotonic())
    return said.strip()


def _take(text: str, held: Session, clock: Clock) -> None:
    from feasible.rubric.interview import clock_text, elapsed_s

    at_s = elapsed_s(held, clock)
    if not text.startswith("/"):
        if held.is_paused:
            print("the clock stands still; /resume goes on", flush=True)
        else:
            held.add("said", at_s, clock, text=text)
        return
    if text == "/time":
        print(clock_text(at_s), flush=True)
    elif text == "/end":
        held.add("ended", at_s, clock, key="end")
    elif text in {"/pause", "/resume"} and held.started.mode == "exam":
        print("an exam cannot be paused", flush=True)
    elif text == "/pause" and not held.is_paused:
        held.add("paused", at_s, clock)
    elif text == "/resume" and held.is_paused:
        held.add("resumed", at_s, clock)
    else:
        print(_HELP, flush=True)


def _say(record: Record, *, shows_all: bool) -> None:
    from feasible.rubric.interview import clock_text

    if record.kind == "ended":
        print(f"[{clock_text(record.at_s)}] Time is up.", flush=True)
        return
    print(f"[{clock_text(record.at_s)}] {record.text}", flush=True)
    if shows_all and record.evidence:
        print(f"        because: {record.evidence}", flush=True)


def _live(held: Session, twists: tuple[Twist, ...]) -> None:
    """Show the interviewer what has been earned so far, and what comes next."""
    from feasible.rubric.interview import clock_text, judge, next_due_s, read_design

    found = judge(read_design(held.transcript()), today=SystemClock().now().date())
    earned = "  ".join(
        f"{c.id} {'-' if c.points is None else c.points}/{c.max}" for c in found.criteria
    )
    print(f"        rubric: {earned}", flush=True)
    high = [f"{f.id} {f.why}" for f in found.findings if f.risk == "HIGH"]
    for line in high[:2]:
        print(f"        open:   {line}", flush=True)
    print(f"        next:   {clock_text(next_due_s(held, twists=twists))}", flush=True)
