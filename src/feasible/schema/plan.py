"""A plan: which tiers in which order, when each may answer, and its certificate."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from feasible.schema.brief import TierKind

__all__ = [
    "DEFAULT_GROUP",
    "Backtest",
    "Calibrator",
    "CertificateLine",
    "Comparison",
    "DataUsed",
    "Forecast",
    "FrontierPoint",
    "Infeasible",
    "LatencyForecast",
    "LeftOut",
    "ModelFile",
    "Plan",
    "PlanReport",
    "PlanTier",
    "PromiseHeld",
    "Relaxation",
    "TierShare",
]

DEFAULT_GROUP = "*"
"""Group of every answer value that has no group of its own."""


class _Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen record that refuses unknown keys."""


class Calibrator(_Noun, frozen=True, kw_only=True):
    """A monotone map from a raw score to P(this answer is right): points to interpolate between."""

    method: Literal["isotonic", "platt", "constant"]
    x: tuple[float, ...]
    """Raw scores, rising. A single point for `constant`, which ignores the score."""
    y: tuple[float, ...]
    """Probabilities, not falling. Ratio 0 to 1."""
    n: int
    """Rows it was fitted on."""


class ModelFile(_Noun, frozen=True, kw_only=True):
    """A stored model by its content."""

    path: str
    """Relative to the folder of the plan."""
    sha256: str


class PlanTier(_Noun, frozen=True, kw_only=True):
    """One step of the cascade."""

    name: str
    kind: TierKind
    version: str
    share: float
    """Share of decisions that this tier answers. Ratio."""
    thresholds: dict[str, float]
    """Answer group -> smallest probability at which the tier's answer is given. Above 1: never."""
    groups: dict[str, str]
    """Answer value -> answer group; a value that is not here is in group `*`."""
    calibrators: dict[str, Calibrator]
    """Answer group -> calibrator; group `*` serves every group without its own."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    cost_usd: float | None
    """Mean dollars of one call."""
    worst_cost_usd: float | None
    """Most dollars that one call can cost."""
    model: ModelFile | None = None
    simulated: bool = False


class CertificateLine(_Noun, frozen=True, kw_only=True):
    """What was shown about one objective on rows that the planner had not used before."""

    objective: str
    limit: float
    """In the unit of `unit`."""
    unit: str
    """`ratio`, `usd` or `ms`."""
    is_ceiling: bool
    value: float | None
    """Point value on the rows that judge."""
    bound: float | None
    """One-sided confidence bound on the bad side of the value."""
    n: int
    """Rows that judge."""
    misses: float
    """Rows that miss (a person's declared error rate counts as a part of a row)."""
    confidence_level: float
    method: str
    assumption: str
    holds: bool | None
    """None when there was too little evidence to say."""
    value_machines: float | None = None
    """The same figure for what machines answered alone."""
    note: str | None = None


class LatencyForecast(_Noun, frozen=True, kw_only=True):
    """Milliseconds."""

    p50: float | None
    p95: float | None
    p99: float | None


class Forecast(_Noun, frozen=True, kw_only=True):
    """What to expect of the plan on traffic like the rows it was judged on."""

    cost_usd: float | None
    """Mean per decision, people included."""
    cost_usd_machines: float | None
    """Mean per decision, people left out."""
    latency_ms: LatencyForecast
    quality: dict[str, float | None]
    people_share: float


class FrontierPoint(_Noun, frozen=True, kw_only=True):
    """One cascade that no other beats at once in cost and quality (judged on SEARCH rows)."""

    cost_usd: float
    quality: float
    latency_ms: float | None
    tiers: tuple[str, ...]
    is_chosen: bool = False


class Comparison(_Noun, frozen=True, kw_only=True):
    """What a team would otherwise do, on the same rows."""

    name: str
    quality: dict[str, float | None]
    cost_usd: float | None
    latency_ms: LatencyForecast
    breaks: tuple[str, ...]
    """Ids of the objectives that it breaks."""
    note: str | None = None


class LeftOut(_Noun, frozen=True, kw_only=True):
    """A tier that the plan does not use, and why."""

    tier: str
    because: str


class Relaxation(_Noun, frozen=True, kw_only=True):
    """The smallest change of one limit that makes the rest hold, found by planning again."""

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
    """One sentence per binding objective, with its numbers."""
    relaxations: tuple[Relaxation, ...] = ()
    labels_needed: dict[str, int] = {}
    """Objective id -> labelled rows (positives, for recall) still missing."""
    earliest_date: date | None = None
    """When these labels will have matured at the brief's label rate; None when that is unknown."""


class DataUsed(_Noun, frozen=True, kw_only=True):
    """Which rows were used for what."""

    name: str
    synthetic: bool
    """Whether rows were made up rather than collected."""
    fingerprint: str
    n_fit: int
    n_search: int
    n_cert: int
    split: str
    """How the rows were divided, in a sentence."""


class Plan(_Noun, frozen=True, kw_only=True):
    """A cascade with everything needed to serve it and to check it."""

    id: str
    """Hash of everything below."""
    feature: str
    brief_fingerprint: str
    """Hash of the brief it was made for."""
    made_at: datetime
    tiers: tuple[PlanTier, ...]
    fallback: dict[str, str]
    """Slice or `default` -> tier that answers when time is up or a tier failed."""
    deadline_ms: float | None
    cost_each_usd: float | None
    """Enforced cap per decision; None when none was declared."""
    forecast: Forecast
    certificate: tuple[CertificateLine, ...]
    data: DataUsed
    labels: tuple[str, ...] = ()
    """Answer values a tier may give, for a closed set; empty when any value is valid."""
    seed: int = 0
    brief_yaml: str = ""
    """The brief it was made for, as text, so that a plan alone can be checked on other rows."""

    def with_id(self) -> Plan:
        """Give the same plan with `id` set to the hash of the rest."""
        blank = msgspec.structs.replace(self, id="")
        digest = hashlib.sha256(msgspec.json.encode(blank, order="deterministic")).hexdigest()
        return msgspec.structs.replace(self, id=f"plan_{digest[:16]}")


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
    """What can be promised now when not all of it can."""
    minimum_evidence: dict[str, int] = {}
    """Objective id -> labelled rows without a miss that are the fewest that can show it."""
    notes: tuple[str, ...] = ()
    extras: dict[str, Any] = {}
    """Figures of the feature's own, for example recall on out-of-scope questions."""


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
