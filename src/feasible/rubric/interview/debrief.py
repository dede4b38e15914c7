"""What an interview earned, with the words that earned it, what was missing, and an answer to compare.

Points come from `feasible.rubric` alone; here they are put beside the quotes.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec

from feasible.rubric.interview.draft import Ask, Quote
from feasible.rubric.interview.reading import Reading, read_design
from feasible.rubric.interview.transcript import Transcript
from feasible.rubric.records import Criterion, Finding, Review
from feasible.rubric.score import score
from feasible.rubric.whatif import simulate_stated
from feasible.schema import BriefFile, PlanReport
from feasible.simulation import Simulated
from feasible.units import format_usd

__all__ = ["Debrief", "Delta", "Judged", "Reference", "debrief", "judge"]

_SECTIONS: Final = {
    "R1": ("goal",),
    "R2": ("metrics", "guardrails"),
    "R3": ("envelope", "traffic"),
    "R4": ("layers", "tiers"),
    "R5": ("bottleneck.knob", "bottleneck.at_load"),
    "R6": ("bottleneck.fix",),
    "R7": ("failures",),
    "R8": ("tradeoff",),
}
_MOST_QUOTES: Final = 6


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion with what was said for it."""

    id: str
    title: str
    points: int | None
    max: int
    evidence: tuple[str, ...]
    quotes: tuple[Quote, ...]
    missing: tuple[str, ...]
    """Evidence lines that earned nothing."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The hidden brief as an answer: what it scores and what of it can be promised."""

    name: str
    score: int
    limits: tuple[str, ...]
    bottleneck: str
    fix: str
    tradeoff: str
    feasible: bool
    certificate: tuple[str, ...]
    """Per promise: whether it can be shown, by what, or what is missing for it."""
    simulated: tuple[str, ...]
    """What it does under load."""


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the attempt before, at the same prompt."""

    score: int
    """Points more than last time."""
    criteria: dict[str, int]
    """Criterion -> points more than last time, where anything changed."""


class Debrief(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is said after an interview."""

    name: str
    score: int
    verdict: str
    caps: tuple[str, ...]
    """Why the score is lower than the points alone would make it."""
    criteria: tuple[Judged, ...]
    findings: tuple[Finding, ...]
    asks: tuple[Ask, ...]
    simulated: tuple[str, ...]
    """What the stated design does under load, by simulation; empty when too little was said."""
    assumed: tuple[str, ...]
    gap: Quote | None
    """A gap that was named honestly and reasoned around."""
    reference: Reference | None
    last: Delta | None


def judge(reading: Reading, *, today: date, simulated: Simulated | None = None) -> Review:
    """Score what was read, by the one rubric that there is.

    Args:
        reading: The stated design with its events.
        today: Day from which label dates are counted.
        simulated: What the stated design does under load, by `simulate_stated`; a bottleneck that
            is named is then held against that, too.
    """
    return score(reading.found, events=reading.events, simulated=simulated, today=today)


def debrief(
    transcript: Transcript,
    *,
    today: date,
    seed: int = 0,
    reference: tuple[BriefFile, PlanReport] | None = None,
    last: Debrief | None = None,
) -> Debrief:
    """Say what an interview earned and why.

    Args:
        transcript: What was said.
        today: Day from which label dates are counted.
        seed: Makes the simulation of the stated design repeatable.
        reference: The hidden brief and what of it can be planned.
        last: The attempt before, at the same prompt.
    """
    reading = read_design(transcript)
    simulated = simulate_stated(reading.found.brief, seed=seed)
    found = judge(reading, today=today, simulated=simulated)
    criteria = tuple(_judged(criterion, reading) for criterion in found.criteria)
    return Debrief(
        name=transcript.name,
        score=found.score,
        verdict=found.verdict,
        caps=found.caps,
        criteria=criteria,
        findings=found.findings,
        asks=reading.asks,
        simulated=_simulated(simulated),
        assumed=() if simulated is None else simulated.assumed,
        gap=reading.gap_named,
        reference=None if reference is None else _reference(*reference, today=today),
        last=None if last is None else _delta(found.score, criteria, last),
    )


def _judged(criterion: Criterion, reading: Reading) -> Judged:
    prefixes = _SECTIONS.get(criterion.id, ())
    quotes: dict[int, Quote] = {}
    for path, quote in reading.quotes.items():
        if path.startswith(prefixes):
            quotes.setdefault(quote.line, quote)
    return Judged(
        id=criterion.id,
        title=criterion.title,
        points=criterion.points,
        max=criterion.max,
        evidence=criterion.evidence,
        quotes=tuple(quotes[line] for line in sorted(quotes))[:_MOST_QUOTES],
        missing=tuple(
            said.removeprefix("+0 ") for said in criterion.evidence if said.startswith("+0")
        ),
    )


def _reference(found: BriefFile, planned: PlanReport, *, today: date) -> Reference:
    brief = found.brief
    bottleneck, tradeoff = brief.bottleneck, brief.tradeoff
    fix = None if bottleneck is None else bottleneck.fix
    usd = None if fix is None or fix.usd_month is None else format_usd(fix.usd_month.mid)
    simulated = simulate_stated(brief, seed=0)
    return Reference(
        name=brief.name,
        score=score(found, today=today, simulated=simulated).score,
        limits=tuple(f"{o.id} {o.limit or o.must_stay}" for o in brief.envelope),
        bottleneck="" if bottleneck is None else f"{bottleneck.knob} at {bottleneck.at_load}",
        fix="" if fix is None else f"{fix.change}: {usd} a month, buys {fix.buys}",
        tradeoff="" if tradeoff is None else f"{tradeoff.gave_up}, for {tradeoff.got}",
        feasible=planned.feasible,
        certificate=_certificate(planned),
        simulated=_simulated(simulated),
    )


def _certificate(planned: PlanReport) -> tuple[str, ...]:
    """Say of each promise how it is shown; of one that cannot be yet, what it takes and when."""
    shown = [
        f"{line.objective}: {'holds' if line.holds else 'not shown'} (bound {line.bound}, n {line.n})"
        for line in planned.certificate
    ]
    for line in planned.evidence:
        fewest = line.rows_by_misses.get("0", line.likely_rows)
        day = "" if line.earliest is None else f", not before {line.earliest}"
        shown.append(f"{line.objective}: {fewest} {line.counts} without a miss can show it{day}")
    return tuple(shown)


def _simulated(found: Simulated | None) -> tuple[str, ...]:
    if found is None:
        return ()
    return tuple(
        f"{line.objective} {line.verdict}"
        + (f" at {line.headroom[1]:.3g}x" if line.headroom[1] is not None else "")
        for line in found.order
        if line.verdict != "unknown"
    )


def _delta(score: int, criteria: tuple[Judged, ...], last: Debrief) -> Delta:
    before = {judged.id: judged.points or 0 for judged in last.criteria}
    moved = {j.id: (j.points or 0) - before.get(j.id, 0) for j in criteria}
    return Delta(
        score=score - last.score,
        criteria={name: points for name, points in moved.items() if points},
    )
