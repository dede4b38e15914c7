"""The whole score of a design: its brief, what binds it, and what was said when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from feasible.rubric.fix import judge_fix
from feasible.rubric.held import held
from feasible.rubric.lens import Lens
from feasible.rubric.named import contexts, judge_bottleneck
from feasible.rubric.records import Review
from feasible.rubric.review import review
from feasible.rubric.spoken import Said
from feasible.rubric.waivers import Waiver
from feasible.rubric.whatif import simulate_stated, standing
from feasible.schema import BriefFile, Plan
from feasible.simulation import Simulated

__all__ = ["score"]


def score(
    found: BriefFile,
    *,
    events: Sequence[Said] = (),
    simulated: Simulated | None = None,
    plan: Plan | None = None,
    lenses: Sequence[Lens] = (),
    waivers: tuple[Waiver, ...] = (),
    today: date | None = None,
    seed: int = 0,
) -> Review:
    """Judge a design by everything that can be checked of it.

    Args:
        found: The brief with its places; `spoken(brief)` for one that nobody wrote down.
        events: What was said when, in an interview.
        simulated: The breakpoint report of its plan or, made already, of its stated design; None:
            the stated design is simulated here, where it says enough.
        plan: Its plan, where there is one: its certificate stands in place of the closed forms.
        lenses: The team's own questions.
        waivers: Findings that are accepted.
        today: Day from which label dates are counted; None for today in UTC.
        seed: Makes every draw repeatable.
    """
    stated = simulated
    if simulated is None or simulated.plan is not None:
        stated = simulate_stated(found.brief, seed=seed)
    binding = tuple(contexts(found.brief, simulated or stated, seed=seed))
    weighed = (
        judge_bottleneck(found.brief, binding, seed=seed),
        judge_fix(found.brief, binding, simulated=stated, seed=seed),
    )
    near = standing(found.brief, simulated or stated, plan)
    checks = held(found.brief, near, binding, plan=plan, seed=seed)
    return review(
        found,
        events=events,
        weighed=weighed,
        checks=checks,
        lenses=lenses,
        waivers=waivers,
        today=today,
        seed=seed,
    )
