"""What is asked of a simulation: one of the named scenarios, or a file that says more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from feasible.errors import KnobError, nearest
from feasible.simulation.design import Breaking, Design, Retrying
from feasible.simulation.knobs import knob_typed, knobs_of

__all__ = ["KINDS", "Scenario", "knob_values"]

KINDS: Final = (
    "breakpoint",
    "spike",
    "soak",
    "outage",
    "demand-shift",
    "stale",
    "labels-late",
    "budget",
    "retry-storm",
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What to simulate.

    Attributes:
        kind: One of `KINDS`.
        name: What it is called in reports.
        knobs: Knob -> value as typed.
        load: Multiple of the design's load.
        seeds: Runs of each design. Count.
        requests: Requests of each run. Count.
        tier: Which tier a fault hits; None: the vendor's.
        fault: `error` or `slow`.
        lasts_s: Length of the fault or of the spike. Seconds.
        factor: How many times as long a slow tier takes.
        share: Share of the calls that the fault hits.
        multiple: How many times the load a spike brings, or a slice's share a shift of demand.
        slice: Slice whose share shifts; None: the rarest.
        arrivals: Fields of the arrivals to change.
        retrying: How the tier is asked again; None: as the design says.
        breaking: When the tier is left alone; None: as the design says.
        tiers: Tier -> fields of what it can bear to change: `quota`, `batching`, `scaling`,
            `tokens`.
        people: Fields of the people to change.
        decay_per_day: Share of the answers that turns wrong with each day since the last
            retraining; None: nobody knows.
    """

    kind: str
    name: str
    knobs: Mapping[str, str] = field(default_factory=dict)
    load: float = 1.0
    seeds: int = 5
    requests: int = 10_000
    tier: str | None = None
    fault: str = "error"
    lasts_s: float | None = None
    factor: float = 4.0
    share: float = 1.0
    multiple: float | None = None
    slice: str | None = None
    arrivals: Mapping[str, Any] = field(default_factory=dict)
    retrying: Retrying | None = None
    breaking: Breaking | None = None
    tiers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    people: Mapping[str, Any] = field(default_factory=dict)
    decay_per_day: float | None = None


def knob_values(design: Design, typed: Mapping[str, str]) -> dict[str, float]:
    """Read typed knob values in the unit of each knob.

    Raises:
        KnobError: The design has no such knob, or the value has another unit.
    """
    knobs, out = knobs_of(design), {}
    for name, raw in typed.items():
        knob = knobs.get(name)
        if knob is None:
            close = nearest(name, knobs)
            raise KnobError(
                f"{design.name} has no knob {name!r}",
                asked=f"{name}={raw}",
                found=f"knobs: {', '.join(knobs)}",
                attempt=f"`{close}`?" if close else "one of these",
            )
        out[name] = knob_typed(name, raw, knob.dimension)
    return out
