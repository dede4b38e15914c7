"""The brief: what is promised, before a model is named. Frozen records, in written order."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Final, Literal

import msgspec

from feasible.schema.trouble import Bottleneck, Failure, Tradeoff
from feasible.units import (
    Amount,
    Bytes,
    Count,
    Duration,
    Multiple,
    Quantity,
    Rate,
    Ratio,
    Usd,
)

__all__ = [
    "OBJECTIVE_RULES",
    "SECTIONS",
    "AnsweredBy",
    "Brief",
    "Curve",
    "DataLayer",
    "FeatureLayer",
    "FeedbackLayer",
    "Goal",
    "Labels",
    "Layers",
    "Metric",
    "Objective",
    "ObjectiveRule",
    "Retrain",
    "ServingLayer",
    "TierKind",
    "TierSpec",
    "Traffic",
]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen record that refuses unknown keys."""


class Curve(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """How one number moves another, as points to interpolate between."""

    of: str
    """What responds, for example `resolved_share`."""
    to: str
    """What moves it; the unit stands in the name, for example `latency_ms`."""
    points: dict[float, float]
    """At least two points: value of `to` -> value of `of`."""
    basis: Literal["assumed", "measured"]
    """Whether anybody measured it."""


class Goal(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """The business goal: the decision, who acts on it and what it is worth."""

    statement: str
    decision: str | None = None
    """What is decided."""
    actor: str | None = None
    """Who acts on the decision."""
    metric: str | None = None
    """The business's metric; its unit stands in the name. The primary one."""
    now: Amount | None = None
    """Value of the metric today."""
    target: Amount | None = None
    """Value to reach."""
    value_usd: Amount | None = None
    """Worth of a right answer. Dollars."""
    error_usd: Amount | None = None
    """Price of a wrong answer. Dollars."""
    response: tuple[Curve, ...] = ()


class Metric(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """One success metric and the next one on the way to the goal."""

    name: str
    kind: Literal["business", "product", "model", "guardrail"]
    leads_to: str | None = None
    """Name of the metric (or of `goal.metric`) that this one moves."""
    at_least: Quantity | None = None
    at_most: Quantity | None = None
    basis: str | None = None
    """For a launch threshold on proxy labels: what they are and when the real ones come."""


class AnsweredBy(StrEnum):
    """Which decisions an objective is judged on."""

    ALL = "all"
    MACHINES = "machines"
    PEOPLE = "people"


class Objective(_Record, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One promised number. Exactly one of the kind keys (`latency` to `residency`) is present."""

    latency: str | None = None
    """`mean` or a percentile such as `p99`."""
    cost: str | None = None
    """`mean` (per decision), `each` (an enforced cap per decision), `day` or `month`."""
    quality: str | None = None
    """`accuracy`; `recall` of a class or on a slice; `precision` of a class; or the name that the
    feature gives its own bounded loss, such as `reward` or `field_f1`."""
    joint: str | None = None
    """`right_in_time`: share of decisions that are right and there `within` a time."""
    throughput: str | None = None
    """`peak` or `sustained`."""
    freshness: str | None = None
    """What must be fresh, for example `new_answer`."""
    adaptation: str | None = None
    """What must be learnt, for example `new_pattern`."""
    availability: str | None = None
    """`answered`: share of requests that get an answer in time."""
    abstention: str | None = None
    """`share`: share of decisions that nobody answers, neither a tier nor a person."""
    people: str | None = None
    """`reviews`: share of decisions, or a number a day, that people may be asked for."""
    delivery: str | None = None
    """What must be live, for example `first_version`."""
    residency: str | None = None
    """Which data must stay, for example `personal_data`."""
    footprint: str | None = None
    """What must fit, for example `bundle`."""
    within: Duration | None = None
    """Of a joint promise: time from the request to the answer."""
    of: str | None = None
    """The class that recall or precision is about."""
    on: str | None = None
    """The slice of traffic it is judged on; all traffic when absent."""
    by: AnsweredBy = AnsweredBy.ALL
    """Whose answers it is judged on: all, machines' or people's."""
    at_most: Quantity | None = None
    at_least: Quantity | None = None
    must_stay: str | None = None
    confidence_level: float = 0.95
    """1 - alpha of the statement that it holds. Ratio in (0, 1)."""

    @cached_property
    def kind(self) -> str:
        """Give the one kind key that is present, for example `latency`."""
        return next(kind for kind in OBJECTIVE_RULES if getattr(self, kind) is not None)

    @property
    def measure(self) -> str:
        """Give what is measured within the kind, for example `p99`."""
        value = getattr(self, self.kind)
        assert isinstance(value, str)  # noqa: S101  holds by construction of `kind`
        return value

    @cached_property
    def id(self) -> str:
        """Give the name used in reports, certificates and `keeps:`, for example `recall_high_risk`.

        Examples:
            >>> Objective(quality="recall", on="high_risk", at_least=Ratio(0.95)).id
            'recall_high_risk'
            >>> Objective(latency="p99", by=AnsweredBy.MACHINES, at_most=Duration("200 ms")).id
            'latency_p99_machines'
        """
        head = self.measure if self.needs_labels else f"{self.kind}_{self.measure}"
        by = None if self.by is AnsweredBy.ALL else self.by.value
        named = [part for part in (self.of, self.on, by) if part]
        return "_".join(dict.fromkeys([head, *named]))

    @property
    def needs_labels(self) -> bool:
        """Claim that only rows of which the truth is known can judge it."""
        return self.kind in {"quality", "joint"}

    @property
    def limit(self) -> Quantity | None:
        """Give the promised number; None for residency."""
        return self.at_most if self.at_most is not None else self.at_least

    @property
    def is_ceiling(self) -> bool:
        """Claim that smaller is better (`at_most`)."""
        return self.at_most is not None


class ObjectiveRule(msgspec.Struct, frozen=True):
    """What a kind of objective may promise."""

    dimensions: tuple[str, ...]
    example: str
    bound: Literal["at_most", "at_least", "either", "must_stay"]
    measures: tuple[str, ...] = ()
    """Valid measures; empty when any name will do. `pNN` stands for any percentile."""


OBJECTIVE_RULES: Final[dict[str, ObjectiveRule]] = {
    "latency": ObjectiveRule(("duration",), "200 ms", "at_most", ("mean", "pNN")),
    "cost": ObjectiveRule(("usd",), "$0.005", "at_most", ("mean", "each", "day", "month")),
    "quality": ObjectiveRule(("ratio", "count"), "0.90", "either"),
    "joint": ObjectiveRule(("ratio",), "95 %", "at_least", ("right_in_time",)),
    "throughput": ObjectiveRule(("rate",), "500 / s", "at_least", ("peak", "sustained")),
    "freshness": ObjectiveRule(("duration",), "30 min", "at_most"),
    "adaptation": ObjectiveRule(("duration",), "7 d", "at_most"),
    "availability": ObjectiveRule(("ratio",), "99.9 %", "at_least"),
    "abstention": ObjectiveRule(("ratio",), "5 %", "at_most", ("share",)),
    "people": ObjectiveRule(("ratio", "rate"), "3 %", "at_most"),
    "delivery": ObjectiveRule(("duration",), "2 weeks", "at_most"),
    "residency": ObjectiveRule((), "on_site", "must_stay"),
    "footprint": ObjectiveRule(("bytes",), "2 MB", "at_most"),
}


class Traffic(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """How much is asked, how unevenly, and what share of it each slice is."""

    rate: Rate | None = None
    """Mean arrivals."""
    peak: Multiple | None = None
    """Peak over mean."""
    arrivals: Literal["steady", "poisson", "diurnal", "bursty", "trace"] | None = None
    slices: dict[str, Ratio] = {}
    repeated: Ratio | None = None
    """Share of requests that were asked before, word for word, within the cache's time to live."""


class Labels(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """When the truth becomes known, how much of it, and at what price."""

    arrive_after: Duration | None = None
    per_month: Count | None = None
    positives_per_month: dict[str, Count] = {}
    usd_each: Amount | None = None
    """Price of one label. Dollars."""
    source: Literal["proxy", "human", "outcome"] | None = None


class DataLayer(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """Data sourcing: where inputs and labels come from."""

    source: str | None = None
    mode: Literal["real-time", "batch", "both"] | None = None
    labels: str | None = None
    """Where labels come from, in a sentence."""
    proxies: str | None = None
    """Labels to start with, before people or outcomes confirm them."""
    usd_month: Usd | None = None
    keeps: tuple[str, ...] = ()
    """Ids of the objectives this layer is there for, for example `latency_p99`."""
    note: str | None = None


class FeatureLayer(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """Feature engineering: what a tier looks at, how old it may be."""

    names: tuple[str, ...] = ()
    computed: str | None = None
    max_age: Duration | None = None
    """Staleness tolerance: the age at which a feature may no longer be used."""
    when_stale: str | None = None
    """Tier that answers when a feature is older than that."""
    usd_month: Usd | None = None
    keeps: tuple[str, ...] = ()
    note: str | None = None


class TierKind(StrEnum):
    """What kind of thing answers."""

    CACHE = "cache"
    RULES = "rules"
    MODEL = "model"
    LLM = "llm"
    PERSON = "person"


class TierSpec(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that can answer, cheapest first."""

    name: str
    kind: TierKind
    use: str | None = None
    """`module:object` in the feature folder, or a built-in such as `feasible.tiers:ExactCache`."""
    model: str | None = None
    """The model behind it, when it is one that others would know by name."""
    usd: Usd | None = None
    """Price of one call."""
    usd_hour: Usd | None = None
    """Price of one replica for an hour, when it is self-hosted."""
    latency_p95: Duration | None = None
    """Expected before it is measured."""
    reach: Ratio | None = None
    """Expected share of decisions that get as far as this tier."""
    capacity: Rate | None = None
    """Most it can answer; for people, their reviews."""
    concurrency: int | None = None
    """Calls it can have in flight."""
    timeout: Duration | None = None
    """For one call with all of its attempts."""
    retries: int = 0
    retry_budget: Ratio | None = None
    """Largest share of calls that may be second attempts: retries and hedges."""
    hedge_after: str | None = None
    """When a call that is slow is made a second time: `p95`, or a duration such as `200 ms`."""
    breaker: str | None = None
    """When calls stop being made, for example `5 failures in 10 s`."""
    isolate: Literal["process", "none"] | None = None
    """`process`: it runs in processes of its own, which are killed when they take too long."""
    ttl: Duration | None = None
    size: int | None = None
    """Most entries a cache may hold."""
    invalidate: str | None = None
    """What empties a cache before its time."""
    false_hit: Ratio | None = None
    """Largest share of wrong hits a semantic cache may give."""
    error_rate: Ratio | None = None
    """Share of a person's answers that are wrong."""
    answer_within: Duration | None = None
    """Time to a person's answer; the request itself gets an acknowledgement at once."""
    retrain_every: Duration | None = None
    ready_in: Duration | None = None
    adapts_in: Duration | None = None
    leaves_site: bool | None = None
    asynchronous: bool = False
    """Answers after the reply, as an overlay that never delays it."""
    place: Literal["server", "device", "cloud"] | None = None
    footprint: Bytes | None = None
    """What it takes up where it runs, for example 2 MB of a device."""
    keeps: tuple[str, ...] = ()
    options: dict[str, str | int | float | bool] = {}
    """Keyword arguments for the object that `use` names."""
    note: str | None = None


class ServingLayer(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """Serving infrastructure: the deadline, the fallback, the capacity."""

    deadline: Duration | None = None
    fallback: dict[str, str] = {}
    """Slice (or `default`) -> tier that answers when time is up or a tier failed."""
    workers: int | None = None
    usd_hour: Usd | None = None
    overload: str | None = None
    """What is given up first under too much load."""
    priority: dict[str, Ratio] = {}
    """Slice -> share of the money of each promise about cost that is kept for it."""
    burst: Usd | None = None
    """Most that a day may spend before its decisions have earned it, of a mean cost."""
    keeps: tuple[str, ...] = ()
    note: str | None = None


class Retrain(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """When models are fitted again and what one time costs."""

    every: Duration | None = None
    trigger: str | None = None
    usd: Usd | None = None
    labels: Count | None = None
    """New labels that one retraining needs."""
    usd_per_label: Usd | None = None
    label_delay: Duration | None = None


class FeedbackLayer(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """Feedback loops: how drift is seen, what triggers retraining, what it costs."""

    drift: str | None = None
    detected_in: Duration | None = None
    retrain: Retrain | None = None
    audit_share: Ratio | None = None
    """Share of decisions labelled at random, whatever was answered."""
    keeps: tuple[str, ...] = ()
    note: str | None = None


class Layers(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """The architecture in five layers."""

    data: DataLayer | None = None
    features: FeatureLayer | None = None
    tiers: tuple[TierSpec, ...] = ()
    serving: ServingLayer | None = None
    feedback: FeedbackLayer | None = None


class Brief(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """The declaration of one AI feature."""

    feasible: Literal[1]
    """Version of this format."""
    name: str
    goal: Goal
    envelope: tuple[Objective, ...]
    metrics: tuple[Metric, ...] = ()
    traffic: Traffic = Traffic()
    labels: Labels = Labels()
    layers: Layers = Layers()
    failures: tuple[Failure, ...] = ()
    bottleneck: Bottleneck | None = None
    tradeoff: Tradeoff | None = None

    def objective(self, objective_id: str) -> Objective:
        """Give the objective of that id.

        Raises:
            KeyError: No objective has it.
        """
        for objective in self.envelope:
            if objective.id == objective_id:
                return objective
        raise KeyError(objective_id)

    def tier(self, name: str) -> TierSpec:
        """Give the tier of that name.

        Raises:
            KeyError: No tier has it.
        """
        for tier in self.layers.tiers:
            if tier.name == name:
                return tier
        raise KeyError(name)


SECTIONS: Final = (
    "feasible",
    "name",
    "goal",
    "metrics",
    "envelope",
    "traffic",
    "labels",
    "layers",
    "failures",
    "bottleneck",
    "tradeoff",
)
"""The order of a brief, which is the point: constraints before tiers, pipelines and data."""
