"""Judge a design by its brief, before anything is built.

Points come from checks, with their evidence; findings name the line, the reason in numbers and the
mend. This room never plans, measures or serves: what needs a plan or a simulation stays unchecked.
"""

from feasible.rubric.bottleneck import guess_bottleneck
from feasible.rubric.compared import Difference, PromiseChange, compare, difference_markdown
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
from feasible.rubric.text import review_markdown, review_text
from feasible.rubric.whatif import simulate_stated

__all__ = [
    "STAGES",
    "BottleneckGuess",
    "Criterion",
    "Difference",
    "Finding",
    "HeadroomGuess",
    "KnobEffect",
    "PromiseChange",
    "Review",
    "Risk",
    "Said",
    "SaidKind",
    "Verdict",
    "compare",
    "difference_markdown",
    "guess_bottleneck",
    "review",
    "review_markdown",
    "review_text",
    "score",
    "simulate_stated",
    "spoken",
]
