"""Judge a design by its brief, before anything is built.

Points come from checks over the brief, a simulation of it and, where there is one, its plan;
findings name the line, the reason in numbers and the mend, with what it buys. This room never
plans, measures or serves: what nothing can be said about stays unchecked.
"""

from feasible.rubric.bottleneck import guess_bottleneck
from feasible.rubric.compared import Difference, PromiseChange, compare, difference_markdown
from feasible.rubric.lens import Lens, Question, read_lens
from feasible.rubric.milestone import (
    Milestone,
    PointsMoved,
    Progress,
    keep_milestone,
    progress,
    read_milestone,
)
from feasible.rubric.records import (
    BottleneckGuess,
    Criterion,
    Finding,
    HeadroomGuess,
    KnobEffect,
    Review,
    Risk,
    Verdict,
)
from feasible.rubric.review import review
from feasible.rubric.score import score
from feasible.rubric.spoken import STAGES, Said, SaidKind, spoken
from feasible.rubric.text import progress_text, review_markdown, review_text
from feasible.rubric.waivers import FILE as WAIVERS_FILE
from feasible.rubric.waivers import KNOWN, Waiver, read_waivers
from feasible.rubric.whatif import simulate_stated

__all__ = [
    "KNOWN",
    "STAGES",
    "WAIVERS_FILE",
    "BottleneckGuess",
    "Criterion",
    "Difference",
    "Finding",
    "HeadroomGuess",
    "KnobEffect",
    "Lens",
    "Milestone",
    "PointsMoved",
    "Progress",
    "PromiseChange",
    "Question",
    "Review",
    "Risk",
    "Said",
    "SaidKind",
    "Verdict",
    "Waiver",
    "compare",
    "difference_markdown",
    "guess_bottleneck",
    "keep_milestone",
    "progress",
    "progress_text",
    "read_lens",
    "read_milestone",
    "read_waivers",
    "review",
    "review_markdown",
    "review_text",
    "score",
    "simulate_stated",
    "spoken",
]
