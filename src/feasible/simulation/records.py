"""What a simulation says. Frozen records, so that two of them can be compared and kept."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Binding",
    "CurvePoint",
    "FaultTolerance",
    "First",
    "KnobEffect",
    "PromiseLine",
    "Regime",
    "Simulated",
    "TierShareLine",
    "TornadoBar",
    "Trace",
    "Window",
]


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen record."""


class PromiseLine(_Record, frozen=True, kw_only=True):
    """How one promise stands, and how many times the load it bears."""

    objective: str
    """Id of the objective, or the name of a limit that no objective promises."""
    limit: float
    unit: str
    is_ceiling: bool
    at_1x: float | None
    """Value at the design's own load; None when it is not known."""
    used_at_1x: float | None
    """Share of the limit that is used there; above 1 it is broken."""
    headroom: tuple[float | None, float | None, float | None]
    """Multiple of the load at which it breaks, with its interval; None: not within the ramp."""
    method: Literal["closed_form", "simulated"]
    closed_form: float | None
    """The same by the utilisation law, where there is one."""
    seeds: int
    verdict: Literal["holds", "breaks", "broken", "unknown"]
    """`broken`: at the design's own load already; `breaks`: at a multiple of it."""
    note: str = ""


class KnobEffect(_Record, frozen=True, kw_only=True):
    """Percent of headroom (or of margin) for each percent that a knob is relaxed."""

    knob: str
    elasticity: float


class Binding(_Record, frozen=True, kw_only=True):
    """Which knob moves a promise most."""

    promise: str
    of: Literal["headroom", "margin"]
    """`margin`: of its limit at the design's own load, because it is broken there."""
    knob: str | None
    """None where no knob moves it: the promise or the structure must change."""
    elasticity: float | None
    runner_up: KnobEffect | None
    effects: tuple[KnobEffect, ...]
    """Every knob, the strongest first."""


class First(_Record, frozen=True, kw_only=True):
    """What breaks first as load grows, of what holds at the design's own load."""

    constraint: str | None
    p_first: float | None
    """Share of the seeds in which it is first."""
    tie: tuple[str, ...] = ()
    """Promises whose intervals overlap with the first one's."""
    shares: dict[str, float] = {}


class CurvePoint(_Record, frozen=True, kw_only=True):
    """What the design does at one load."""

    multiple: float
    rate_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    p95_useful_ms: float
    """Over answers that are not degraded: a timeout hides the latency that it cuts off."""
    p99_useful_ms: float
    degraded: float
    usd_each: float | None
    tiers: dict[str, float]
    """Share of the decisions that each answers."""


class TierShareLine(_Record, frozen=True, kw_only=True):
    """What one tier sees at the design's own load."""

    name: str
    reach: float
    utilisation: float
    saturates_at: float | None
    """Multiple of the load at which its slots are all busy, by the utilisation law."""
    wait_ms: float | None = None
    """Mean wait for a slot by closed forms, for Poisson arrivals; None: it cannot keep up."""
    late: float | None = None
    """Share that would run out of time in its queue, by closed forms; None: nothing limits it."""


class TornadoBar(_Record, frozen=True, kw_only=True):
    """What the ends of one uncertain input do to the first break."""

    input: str
    low: float
    high: float
    basis: Literal["assumed", "measured"]
    headroom_low: float | None
    """First break with the input at its low end; None: not within the ramp."""
    headroom_high: float | None
    rank_correlation: float | None
    """Spearman's, over draws of all inputs through the closed forms."""


class Window(_Record, frozen=True, kw_only=True):
    """What happened in one stretch of a run."""

    name: str
    start_s: float
    end_s: float
    requests: int
    p50_ms: float | None
    p99_ms: float | None
    degraded: float | None
    usd_each: float | None


class Regime(_Record, frozen=True, kw_only=True):
    """Whether a load is survived: with the fault and, the same luck, without it."""

    multiple: float
    rate_per_s: float
    regime: Literal["stable", "vulnerable", "unstable"]
    """`unstable`: over its limit without any fault; `vulnerable`: a fault outlives its cause."""
    utilisation: float
    degraded_without_fault: tuple[float, ...]
    degraded_after_fault: tuple[float, ...]
    """Share that is degraded after the fault has ended, per seed."""


class FaultTolerance(_Record, frozen=True, kw_only=True):
    """The largest fault with which every promise that held before still holds."""

    fault: str
    unit: str
    tolerated: float | None
    """In `unit`; None: more than was tried."""
    tried_up_to: float
    breaks: str | None
    """What breaks first beyond it."""
    required: float | None = None
    """What the brief asks for, where it says so."""
    recovers_s: float | None = None
    """Time after the fault has ended until degraded answers are as rare as before."""


class Trace(_Record, frozen=True, kw_only=True):
    """The first request that breaks a promise just beyond its headroom."""

    promise: str
    multiple: float
    at_s: float
    request: int
    answered_by: str
    latency_ms: float
    degraded: bool
    busiest: str
    """Tier with the least free slots in that run."""
    utilisation: dict[str, float]


class Simulated(_Record, frozen=True, kw_only=True):
    """The whole answer of one simulation."""

    name: str
    scenario: str
    plan: str | None
    design: str
    """Hash of everything that was simulated, knobs included."""
    seeds: tuple[int, ...]
    requests: int
    """Requests that were simulated in all."""
    rate_per_s: float
    engine: str
    order: tuple[PromiseLine, ...]
    """Broken ones first, the worst first; then by headroom."""
    before: tuple[PromiseLine, ...] = ()
    """The same promises without the knobs that were turned, with the same luck."""
    first: First
    bottleneck: Binding | None
    """Of the promise that breaks first with load."""
    broken_by: Binding | None
    """Of the promise that is broken worst at the design's own load."""
    tiers: tuple[TierShareLine, ...]
    curve: tuple[CurvePoint, ...] = ()
    tornado: tuple[TornadoBar, ...] = ()
    p_holds: float | None = None
    """Share of draws from the uncertain inputs in which every promise holds at 1x."""
    matters_most: str | None = None
    faults: tuple[FaultTolerance, ...] = ()
    regimes: tuple[Regime, ...] = ()
    windows: tuple[Window, ...] = ()
    trace_of_first_violation: Trace | None = None
    facts: dict[str, Any] = {}
    """Further figures of the scenario, each under its own name."""
    assumed: tuple[str, ...] = ()
    """What nobody measured, in words."""
