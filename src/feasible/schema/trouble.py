"""What can go wrong, what decides it, and what was given up: the last three sections of a brief."""

from __future__ import annotations

import msgspec

from feasible.units import Count, Duration, Multiple, Usd

__all__ = ["Alternative", "Bottleneck", "Failure", "Fix", "Tradeoff"]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen record that refuses unknown keys."""


class Failure(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """What can break, how it is seen, and what answers meanwhile."""

    component: str
    trigger: str | None = None
    effect: str | None = None
    detected_in: Duration | None = None
    fallback: str | None = None


class Alternative(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """Another way to move the bottleneck, and its price."""

    change: str
    usd_month: Usd | None = None
    buys: str | None = None
    sets: dict[str, bool | str | int | float] = {}
    """Numbers of this brief as they would be then, for example `scorer.capacity: 800 / s`."""
    gains: Multiple | None = None
    """What it claims: headroom afterwards over headroom before."""


class Fix(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """What would move the bottleneck, its price and what it buys."""

    change: str
    usd_month: Usd | None = None
    buys: str | None = None
    sets: dict[str, bool | str | int | float] = {}
    """Numbers of this brief as they would be then, for example `scorer.capacity: 800 / s`."""
    gains: Multiple | None = None
    """What it claims: headroom afterwards over headroom before, or, where load moves nothing,
    share of the limit that is used before over after."""
    breaks_next: str | None = None
    labels: Count | None = None
    usd_per_label: Usd | None = None
    label_delay: Duration | None = None
    alternatives: tuple[Alternative, ...] = ()


class Bottleneck(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """The knob that decides which objective breaks first."""

    knob: str
    objective: str | None = None
    """Id of the objective it breaks."""
    at_load: Multiple | None = None
    fix: Fix | None = None


class Tradeoff(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """The one deep tradeoff: what was given up for what, in a number."""

    gave_up: str
    got: str
    number: str | None = None
    objective: str | None = None
    """Id of the objective it is about."""
    knob: str | None = None
    """The number of the brief that is traded, for example `llm.reach`."""
