"""What the planner answers: the plan and its surroundings, or why there is none."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from feasible.schema.plan import CertificateLine, DataUsed, Forecast, LatencyForecast, Plan

__all__ = [
    "Backtest",
    "Comparison",
    "EvidenceLine",
    "Expired",
    "FrontierPoint",
    "Infeasible",
    "LeftOut",
    "PlanCheck",
    "PlanReport",
    "PromiseHeld",
    "Relaxation",
    "Sensitivity",
    "Spread",
    "Swing",
    "TierShare",
    "TimelineStep",
    "ValueLine",
    "ValueReport",
]


class _Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen record that refuses unknown keys."""


class FrontierPoint(_Noun, frozen=True, kw_only=True):
    """One cascade that no other beats at once in cost and quality (judged on SEARCH rows)."""

    cost_usd: float
    quality: float
    latency_ms: float | None
    tiers: tuple[str, ...]
    is_chosen: bool = False
    marginal_usd: float | None = None
    """Dollars per 1,000 decisions that each percentage point of quality costs beyond the next
    cheaper point; None where there is none, or where it is no better."""
    right: float | None = None
    """Share of all decisions that are right, on the declared mix; None when it was not counted."""
    earned: float | None = None
    """The same, each right answer weighed by what its latency leaves of its worth."""
    breaks: tuple[str, ...] | None = None
    """Promises that its values break on these rows; None when they were not looked at."""


class Comparison(_Noun, frozen=True, kw_only=True):
    """What a team would otherwise do, on the same rows."""

    name: str
    quality: dict[str, float | None]
    cost_usd: float | None
    latency_ms: LatencyForecast
    breaks: tuple[str, ...]
    """Ids of the objectives that it breaks."""
    note: str | None = None
    right: float | None = None
    """Share of all decisions that are right, on the declared mix; None when it was not counted."""
    earned: float | None = None
    """The same, each right answer weighed by what its latency leaves of its worth."""


class LeftOut(_Noun, frozen=True, kw_only=True):
    """A tier that the plan does not use, and why."""

    tier: str
    because: str
    objective: str | None = None
    """The promise that it would break; None when something else is the reason."""
    saves_usd: float | None = None
    """Dollars a decision that a plan with this tier would cost less, planned again without that
    promise; negative when it costs more, None when it was not planned again."""


class Relaxation(_Noun, frozen=True, kw_only=True):
    """The smallest change of one limit that makes the rest hold, found by planning again.

    The rows that judged the brief judge it too: one more look at them.
    """

    objective: str
    from_: float = msgspec.field(name="from")
    to: float
    unit: str
    verified: bool = False


class Infeasible(_Noun, frozen=True, kw_only=True):
    """Why no plan keeps the brief."""

    kind: Literal["structural", "evidence", "tradeoff"]
    binding: tuple[str, ...]
    """Ids of the objectives that bind."""
    because: tuple[str, ...]
    """Sentences with their numbers; of a trade-off, first which promises conflict."""
    relaxations: tuple[Relaxation, ...] = ()
    labels_needed: dict[str, int] = {}
    """Objective id -> rows still missing: labelled ones for quality, positives for recall."""
    earliest_date: date | None = None
    """When these labels will have matured at the brief's label rate; None when that is unknown."""
    latest_date: date | None = None
    """The same at the low end of a label rate that is declared as a range."""


class EvidenceLine(_Noun, frozen=True, kw_only=True):
    """What labels it takes to show one quality objective, and when the brief's rate gives them."""

    objective: str
    limit: float
    is_ceiling: bool
    confidence_level: float
    counts: str
    """Which rows count, in words."""
    rows_by_misses: dict[str, int]
    """Misses -> the fewest rows that show the limit with so many."""
    have: int
    """Labelled rows that count and are there."""
    misses: int
    """Those of them that missed."""
    missing: int | None
    """Rows still missing: without a miss where there are none yet, else at the present miss rate;
    None when the value itself is on the wrong side, which no number of rows mends."""
    per_month: tuple[float, float] | None
    """Rows that become known each month, low and high; None when the brief does not say."""
    rate_from: str | None
    """Where the brief says so, for example `labels.per_month`."""
    earliest: date | None
    """When the missing rows will have matured at the high end of the rate."""
    latest: date | None
    """The same at the low end."""
    likely_rows: int | None
    """Rows at which four attempts in five succeed at the true rate below."""
    likely_at: float
    """True rate that is assumed for it: a fifth of the allowed misses."""
    likely_earliest: date | None
    likely_latest: date | None
    due: date | None = None
    """When the brief promises to have shown it."""
    note: str | None = None


class TimelineStep(_Noun, frozen=True, kw_only=True):
    """What can be promised from which date on."""

    promise: str
    """Objective or metric."""
    limit: float
    is_ceiling: bool
    unit: str
    """Unit of `limit`: `ratio`, or nothing for a count."""
    rows: int | None
    """Labelled rows it takes; None when labels do not decide it, or cannot at the present rate."""
    earliest: date | None
    """From when on at the high end of the label rate; None when that is unknown."""
    latest: date | None
    """The same at the low end."""
    likely_earliest: date | None
    """From when on four attempts in five succeed, at the high end of the rate."""
    likely_latest: date | None
    basis: Literal["declared", "shown", "if no row misses", "at the present miss rate"]
    """`declared`: a metric's own threshold, which is not certified."""
    is_promised: bool
    """Whether it is the promise itself, rather than a step on the way."""
    note: str | None = None


class Spread(_Noun, frozen=True, kw_only=True):
    """A figure at the low end, the middle and the high end of what was declared."""

    low: float
    mid: float
    high: float


class ValueLine(_Noun, frozen=True, kw_only=True):
    """What one design is worth per decision: right answers, less wrong ones, less their cost."""

    name: str
    kind: Literal["plan", "frontier", "rules only", "no LLM", "nothing"]
    tiers: tuple[str, ...]
    right: float | None
    """Share of decisions that are right; None where nothing is decided."""
    cost_usd: float
    net_usd: Spread
    """Dollars a decision. `low` has the low worth and the high price of an error."""
    is_best: bool = False
    """Largest net value at the middle of the declared numbers."""
    breaks: tuple[str, ...] = ()
    """Promises that its figures break."""


class ValueReport(_Noun, frozen=True, kw_only=True):
    """What the plan is worth beside the other points and beside doing less."""

    lines: tuple[ValueLine, ...]
    best: str
    """Name of the line with the largest net value at the middle."""
    best_within: str
    """The same among those whose figures break no promise."""
    is_best_throughout: bool
    """Whether no other line beats it at any corner of the declared ranges."""
    rivals: tuple[str, ...]
    """Lines that beat it at some corner."""
    assumptions: tuple[str, ...]
    """Where the numbers come from: assumed, measured or synthetic."""
    net_usd_by_point: tuple[Spread | None, ...] = ()
    """Net value of each point of the frontier, in its order."""


class Swing(_Noun, frozen=True, kw_only=True):
    """The plan on the same rows with one declared number at one value."""

    at: float
    """The number. In the unit of the declaration: dollars, or a ratio."""
    cost_usd: float | None
    net_usd: float | None
    slack: float | None
    """Smallest slack of all promises, by their values. Share of the limit; negative: broken."""
    tightest: str | None
    """The objective whose slack that is."""
    breaks: tuple[str, ...]
    """Objectives whose value breaks its limit; no statement about bounds."""


class Sensitivity(_Noun, frozen=True, kw_only=True):
    """How the plan moves when one declared number moves over its range."""

    number: str
    """For example `layers.tiers.person.usd`."""
    unit: str
    """`usd` or `ratio`."""
    basis: Literal["declared range", "10 % either way"]
    low: Swing
    now: Swing
    high: Swing
    best: tuple[str, str, str] | None = None
    """Design of the largest net value at low, now and high; None when the brief gives no worth."""


class PlanReport(_Noun, frozen=True, kw_only=True):
    """The answer of the planner: a plan, or why there is none."""

    feasible: bool
    plan: Plan | None
    forecast: Forecast | None
    certificate: tuple[CertificateLine, ...]
    frontier: tuple[FrontierPoint, ...]
    comparisons: tuple[Comparison, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    infeasible: Infeasible | None = None
    fallback_plan: Plan | None = None
    """The nearest there is where not everything can be promised. With `not_promised`, it is
    certified for everything else: what can be promised now."""
    minimum_evidence: dict[str, int] = {}
    """Objective id -> labelled rows without a miss that are the fewest that can show it."""
    notes: tuple[str, ...] = ()
    extras: dict[str, Any] = {}
    """Figures of the feature's own, for example recall on out-of-scope questions."""
    evidence: tuple[EvidenceLine, ...] = ()
    """What labels each quality objective takes, known before anything is trained."""
    timeline: tuple[TimelineStep, ...] = ()
    """What can be promised on which date, where something cannot be shown yet."""
    value: ValueReport | None = None
    """What the plan and its alternatives are worth; None when the brief gives no worth."""
    sensitivity: tuple[Sensitivity, ...] = ()
    """What the plan would do if a declared number were another one."""
    data: DataUsed | None = None
    """Which rows were used for what; None when nothing was planned."""
    formats: tuple[str, ...] = ()
    """What one format of a model saves and costs against another, a sentence each."""
    shadow_prices: dict[str, float] = {}
    """Objective id -> dollars a decision saved for each unit by which its limit is looser."""


class TierShare(_Noun, frozen=True, kw_only=True):
    """Share of decisions that a tier answered."""

    name: str
    share: float


class PromiseHeld(_Noun, frozen=True, kw_only=True):
    """Whether one promise held on other rows."""

    objective: str
    limit: float
    unit: str
    value: float | None
    interval: tuple[float, float] | None
    """Two-sided, at the objective's confidence level."""
    n: int
    held: Literal["true", "false", "undecided"]


class Backtest(_Noun, frozen=True, kw_only=True):
    """A fixed plan replayed on other rows."""

    rows: int
    cost_usd: float | None
    latency_ms: LatencyForecast
    quality: dict[str, float | None]
    tiers: tuple[TierShare, ...]
    promises: tuple[PromiseHeld, ...]


class Expired(_Noun, frozen=True, kw_only=True):
    """One reason why a certificate no longer stands."""

    what: Literal["promise", "brief", "price", "version", "tier", "age"]
    """`promise`: it was never shown to hold, so that there is no certificate to expire."""
    name: str
    """The promise, the tier, or the part of the brief."""
    was: str
    now: str


class PlanCheck(_Noun, frozen=True, kw_only=True):
    """Whether the certificate of a plan still stands: one that never held does not."""

    plan: str
    """Id."""
    made_at: datetime
    stands: bool
    expired: tuple[Expired, ...]
    """Every reason why it does not."""
    checked: tuple[str, ...]
    """What was compared, and what was not."""
