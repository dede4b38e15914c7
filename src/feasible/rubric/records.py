"""What a review says. Frozen records, so that it can be kept beside the brief and compared."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

__all__ = [
    "BottleneckGuess",
    "Criterion",
    "Finding",
    "HeadroomGuess",
    "KnobEffect",
    "Review",
    "Risk",
    "Verdict",
]


class Risk(StrEnum):
    """How much a finding endangers the promise."""

    HIGH = "HIGH"
    """A promise has no defence, or cannot be kept: the design is not ready."""
    MEDIUM = "MEDIUM"
    """Something is missing that decides whether it will be kept."""
    LOW = "LOW"
    """Worth knowing."""


class Verdict(StrEnum):
    """What to do with a design that only its brief speaks for."""

    READY = "ready"
    """Plan it."""
    NEEDS_WORK = "needs work"
    """No HIGH risk is open, but points or MEDIUM findings are, or a HIGH one is waived."""
    NOT_READY = "not ready"
    """A HIGH risk is open."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen record."""


class Finding(_Record, frozen=True, kw_only=True):
    """One thing to mend."""

    id: str
    """The lint or criterion that found it, for example `A4`."""
    risk: Risk
    where: str
    """`file:line`."""
    why: str
    """What is the case, in numbers."""
    fix: str
    """What to write instead."""
    buys: str = ""
    """What that brings: points, limits in a second review; empty: nobody can say."""
    waived: str | None = None
    """Why it is accepted; None: it is open."""


class Criterion(_Record, frozen=True, kw_only=True):
    """One criterion of the rubric, with what speaks for its points."""

    id: str
    title: str
    points: int | None
    """Points that the brief earned; None when a brief cannot show any of them."""
    max: int
    """Points of the criterion in the whole rubric."""
    checkable: int
    """Points that a brief alone can show. 0 <= points <= checkable <= max."""
    checked: bool
    """Whether anything of it was checked."""
    evidence: tuple[str, ...]


class HeadroomGuess(_Record, frozen=True, kw_only=True):
    """How much of one limit the brief's own numbers use up."""

    name: str
    """Id of the objective, or the knob of a physical limit that no objective promises."""
    limit: str
    used: float
    """Value over limit at the declared traffic. Ratio; above 1 it is broken."""
    headroom: float | None
    """Multiple of the declared traffic at which it breaks; None when load does not move it."""
    basis: str
    """The numbers that went in, in words."""


class KnobEffect(_Record, frozen=True, kw_only=True):
    """How far one number of the brief moves the limit that binds first."""

    knob: str
    elasticity: float
    """Percent less used for each percent that the knob is relaxed."""


class BottleneckGuess(_Record, frozen=True, kw_only=True):
    """What binds first by closed forms over the brief's own numbers. Nothing here was measured."""

    method: Literal["closed_form"]
    first: str | None
    """The row that is closest to its limit; None when the brief has too few numbers."""
    knob: str | None
    """The number that moves it most; None when none does: change the limit or the tier."""
    elasticity: float | None
    runner_up: KnobEffect | None
    effects: tuple[KnobEffect, ...] = ()
    """Every number that moves the first row, the strongest first."""
    rows: tuple[HeadroomGuess, ...]
    """Closest to its limit first."""
    unknown: tuple[str, ...]
    """Objectives that have no closed form over the numbers given."""
    p_holds: float | None
    """Share of draws from the brief's ranges in which every row holds; None without ranges."""
    p_first: float | None
    """Share of those draws in which the same row binds first."""
    draws: int
    seed: int
    matters_most: str | None
    """The range that moves the outcome most, by rank correlation."""
    brief_names: str | None
    """The knob that the brief names."""
    agrees: bool | None
    """Whether that knob moves the first row about as much as the best; reported, not scored."""
    sentence: str


class Review(_Record, frozen=True, kw_only=True):
    """A design judged by its brief, and by what was simulated of it."""

    name: str
    score: int
    """Points earned as a share of those that could be checked, after the caps. 0 to 100."""
    verdict: Verdict
    points: int
    checkable: int
    """Points that could be checked; in an interview all 100, as what was not said is not there."""
    criteria: tuple[Criterion, ...]
    findings: tuple[Finding, ...]
    """HIGH first."""
    bottleneck: BottleneckGuess
    lenses: tuple[str, ...] = ()
    """The team's own questions that were asked, each lens in a sentence."""
    caps: tuple[str, ...] = ()
    """Why the score or the verdict is lower than the points alone would make it."""
