"""The 45-minute mock interview: what was said becomes a design, and the rubric judges it.

Text is read by rules and patterns alone; what they cannot read is asked. Questions are computed from
a simulation of the stated design. This room never gives a point of its own and never asks a model.
"""

from feasible.rubric.interview.cases import Case, Twist, case_named, cases, twists_of
from feasible.rubric.interview.conduct import catch_up, next_due_s
from feasible.rubric.interview.debrief import Debrief, Judged, debrief, judge
from feasible.rubric.interview.debrief_text import debrief_text
from feasible.rubric.interview.followups import FollowUp
from feasible.rubric.interview.reading import Reading, read_design
from feasible.rubric.interview.session import (
    LENGTH_S,
    Mode,
    Record,
    Session,
    elapsed_s,
    open_session,
    start_session,
)
from feasible.rubric.interview.transcript import (
    Transcript,
    Turn,
    format_turn,
    parse_document,
    parse_transcript,
    read_file,
)
from feasible.rubric.spoken import clock_text

__all__ = [
    "LENGTH_S",
    "Case",
    "Debrief",
    "FollowUp",
    "Judged",
    "Mode",
    "Reading",
    "Record",
    "Session",
    "Transcript",
    "Turn",
    "Twist",
    "case_named",
    "cases",
    "catch_up",
    "clock_text",
    "debrief",
    "debrief_text",
    "elapsed_s",
    "format_turn",
    "judge",
    "next_due_s",
    "open_session",
    "parse_document",
    "parse_transcript",
    "read_design",
    "read_file",
    "start_session",
    "twists_of",
]
