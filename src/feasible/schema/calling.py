"""How a tier is called, as its brief says it: its breaker, its attempts, its processes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from feasible.schema.brief import TierKind, TierSpec
from feasible.units import Duration

__all__ = ["BreakerRule", "breaker_rule", "hedge_delay_s", "tier_faults"]

_EXAMPLE: Final = "5 failures in 10 s"
_NOTHING: Final = re.compile(
    r"\W*(?:none|nothing|n/?a|tb[cd]|todo|to be (?:decided|done)|unknown|null)?\W*", re.IGNORECASE
)
"""Placeholders: they declare nothing, and a review of the design says so."""
_COUNTED: Final = re.compile(
    r"(?P<n>\d+)\s+(?:failures?|errors?)\s+in\s+(?:(?P<row>a\s+row)|(?P<time>\d.*))", re.IGNORECASE
)
_SHARED: Final = re.compile(
    r"(?:(?P<half>half)|(?P<percent>\d+(?:\.\d+)?)\s*%)\s+of\s+(?:the\s+last\s+)?(?P<calls>\d+)"
    r"\s+calls(?:\s+fail(?:ed)?)?",
    re.IGNORECASE,
)
_MOST: Final = 10_000
"""Most calls that a breaker may remember."""
_MOST_RETRIES: Final = 10


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When calls of a tier stop being made.

    Attributes:
        failures: Failures that open it.
        within_s: They lie in so many seconds, whatever succeeded between; None: in a row.
        of_calls: They are among so many last calls; None: as the others say.
    """

    failures: int = 5
    within_s: float | None = None
    of_calls: int | None = None


def breaker_rule(text: str | None) -> BreakerRule | None:
    """Read what a brief says of a breaker; None when it says nothing.

    Raises:
        ValueError: It says something that cannot be kept.

    Examples:
        >>> breaker_rule("5 failures in 10 s")
        BreakerRule(failures=5, within_s=10.0, of_calls=None)
        >>> breaker_rule("half of 20 calls fail")
        BreakerRule(failures=10, within_s=None, of_calls=20)
        >>> breaker_rule("3 failures in a row"), breaker_rule("none")
        (BreakerRule(failures=3, within_s=None, of_calls=None), None)
    """
    if text is None or _NOTHING.fullmatch(text):
        return None
    counted = _COUNTED.fullmatch(text.strip())
    if counted is not None:
        within_s = None if counted["row"] else Duration(counted["time"]).mid
        rule = BreakerRule(int(counted["n"]), within_s)
    else:
        shared = _SHARED.fullmatch(text.strip())
        if shared is None:
            raise ValueError(f"{text!r} does not say when calls stop being made")
        share = 0.5 if shared["half"] else float(shared["percent"]) / 100
        calls = int(shared["calls"])
        rule = BreakerRule(max(1, round(share * calls)), of_calls=calls)
        if share > 1:
            raise ValueError(f"at most 100 % of the calls can fail; found {shared['percent']} %")
    if not 1 <= rule.failures <= _MOST or (rule.of_calls or 1) > _MOST:
        raise ValueError(f"a breaker counts from 1 to {_MOST:,} calls; found {text!r}")
    if rule.within_s is not None and not rule.within_s > 0:
        raise ValueError(f"failures lie in a time above 0; found {text!r}")
    return rule


def hedge_delay_s(spec: TierSpec | None) -> float | Literal["p95"] | None:
    """Give after how long a second attempt begins. Seconds, or the tier's own p95; None: never.

    Raises:
        ValueError: It is neither `p95` nor a length of time above 0.
    """
    text = None if spec is None else spec.hedge_after
    if text is None:
        return None
    if text.strip() == "p95":
        return "p95"
    delay_s = Duration(text).mid
    if not delay_s > 0:
        raise ValueError(f"a second attempt begins after a time above 0; found {text!r}")
    return delay_s


def tier_faults(tier: TierSpec) -> Iterator[tuple[str, str, str | None]]:
    """Go through what cannot be kept of a tier's price and of how it is to be called.

    Yields:
        The key, what is wrong with it, and what could stand there instead.
    """
    for key, price in (("usd", tier.usd), ("usd_hour", tier.usd_hour)):
        if price is not None and price.low < 0:
            yield key, f"a price is at least $0; found {price.raw!r}", None
    if tier.concurrency is not None and tier.concurrency < 1:
        yield "concurrency", f"at least 1 call in flight; found {tier.concurrency}", "1"
    if tier.timeout is not None and not tier.timeout.low > 0:
        yield "timeout", f"a time above 0; found {tier.timeout.raw!r}", "200 ms"
    if not 0 <= tier.retries <= _MOST_RETRIES:
        yield "retries", f"0 to {_MOST_RETRIES} times; found {tier.retries}", "1"
    try:
        breaker_rule(tier.breaker)
    except ValueError as error:
        known = f"{_EXAMPLE}, `5 failures in a row` or `half of 20 calls fail`"
        yield "breaker", str(error), known
    if tier.isolate == "process" and tier.kind in {TierKind.CACHE, TierKind.PERSON}:
        reason = f"a {tier.kind.value} answers from the service's own memory, not from a process"
        yield "isolate", reason, "leave it out"
    yield from _hedge_faults(tier)


def _hedge_faults(tier: TierSpec) -> Iterator[tuple[str, str, str | None]]:
    try:
        delay_s = hedge_delay_s(tier)
    except ValueError as error:
        yield "hedge_after", f"{error}", "p95, or a length of time such as 200 ms"
        return
    if isinstance(delay_s, float) and tier.timeout is not None and delay_s >= tier.timeout.mid:
        reason = f"{tier.hedge_after} is not before the timeout of {tier.timeout.raw}"
        yield "hedge_after", reason, "a shorter time, or p95"
