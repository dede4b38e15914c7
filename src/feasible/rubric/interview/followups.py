"""Questions that only numbers can ask: from a simulation of what the candidate has stated so far."""

from __future__ import annotations

from typing import Final

import msgspec

from feasible.rubric.interview.reading import Reading
from feasible.rubric.whatif import simulate_stated
from feasible.simulation import Simulated, middles, sheet
from feasible.simulation import cost_lines as lines_of
from feasible.units import MONTH_S, format_usd

__all__ = [
    "FollowUp",
    "about_limits",
    "about_load",
    "about_outage",
    "about_price",
]

_KINDS: Final = (
    ("latency", "How fast must an answer be, at which percentile?"),
    ("cost", "What may a decision cost, in dollars?"),
    ("quality", "How right must it be, and on which costly class or slice?"),
    ("freshness", "How fresh must it be, or how fast must it learn something new?"),
    ("throughput", "How many requests come per second, and how many at the peak?"),
)


class FollowUp(msgspec.Struct, frozen=True, kw_only=True):
    """A question with what it was computed from."""

    text: str
    evidence: str
    """The numbers behind it, for the interviewer and the debrief."""


def about_limits(reading: Reading) -> FollowUp:
    """Ask for a limit that nobody has stated, or for the first thing that could not be read."""
    kinds = {objective.kind for objective in reading.found.brief.envelope}
    if "adaptation" in kinds:
        kinds.add("freshness")
    for kind, question in _KINDS:
        if kind not in kinds:
            return FollowUp(text=question, evidence=f"no limit on {kind} has been stated")
    if reading.asks:
        ask = reading.asks[0]
        return FollowUp(text=f"You said {ask.quote.text!r}: {ask.question}", evidence=ask.about)
    return FollowUp(
        text="Which of your limits would you give up first, and for what price?",
        evidence="every kind of limit has been stated",
    )


def about_load(reading: Reading, *, seed: int) -> FollowUp:
    """Hold the bottleneck that was named against the one that the simulation finds."""
    brief = reading.found.brief
    found = simulate_stated(brief, seed=seed)
    if found is None:
        return FollowUp(
            text="How many requests come per second, what answers them, and what can each of these "
            "bear? Then tell me what breaks first.",
            evidence="nothing was stated that could be simulated",
        )
    named = None if brief.bottleneck is None else brief.bottleneck.knob
    broken = [line for line in found.order if line.verdict == "broken"]
    if broken:
        worst = broken[0]
        used = "" if worst.used_at_1x is None else f" ({worst.used_at_1x:.1f} times its limit)"
        text = (
            f"By your own numbers {worst.objective} is broken at today's load already{used}. "
            "What gives?"
        )
        return FollowUp(text=text, evidence=_evidence(found))
    first = found.first.constraint
    line = next((li for li in found.order if li.objective == first), None)
    multiple = None if line is None else line.headroom[1]
    if first is None or multiple is None:
        return FollowUp(
            text="Nothing that you have stated breaks within 20 times the load. Which number have "
            "you left out that would?",
            evidence=_evidence(found),
        )
    knob = "no number of yours" if found.bottleneck is None else found.bottleneck.knob
    text = f"At {multiple:.2g} times today's load {first} breaks; {knob} moves it most. "
    text += (
        "You have not said what breaks first: what would you turn?"
        if named is None
        else f"You named {named}: why that, and not {knob}?"
        if named != knob
        else "You named it: what do you do, and what does it cost?"
    )
    return FollowUp(text=text, evidence=_evidence(found))


def about_outage(reading: Reading) -> FollowUp:
    """Take away the dearest machine tier and ask what a user sees."""
    brief = reading.found.brief
    machines = [tier for tier in brief.layers.tiers if tier.kind.value not in {"person", "rules"}]
    if not machines:
        return FollowUp(
            text="Which part fails most often, how soon do you see it, and who answers meanwhile?",
            evidence="no machine tier has been named",
        )
    tier = max(machines, key=lambda t: 0.0 if t.usd is None else t.usd.mid)
    values = middles(sheet(brief), brief)
    reach, rate = values.get(f"{tier.name}.reach"), values.get("traffic.rate")
    peak = values.get("traffic.peak")
    text = f"`{tier.name}` is down for 10 minutes at the peak: what does a user see?"
    if reach is None or rate is None:
        return FollowUp(text=text, evidence=f"{tier.name} is the dearest machine tier stated")
    lost = float(reach[0] * rate[0] * (1.0 if peak is None else peak[0])) * 600
    evidence = f"{tier.name}: about {lost:,.0f} requests reach it in 10 minutes of the peak"
    return FollowUp(
        text=f"{text} About {lost:,.0f} requests would have reached it.", evidence=evidence
    )


def about_price(reading: Reading) -> FollowUp:
    """Hold the price of the fix, or of a decision, against what it buys."""
    brief = reading.found.brief
    fix = None if brief.bottleneck is None else brief.bottleneck.fix
    lines = lines_of(brief, middles(sheet(brief), brief)) or {}
    each = {name: float(usd[0]) for name, usd in lines.items() if float(usd[0]) > 0}
    shown = ", ".join(f"{name} {format_usd(usd)}" for name, usd in each.items())
    rate = brief.traffic.rate
    month = None if rate is None or not each else sum(each.values()) * rate.mid * MONTH_S
    spent = (
        "" if month is None else f"Your decisions come to {format_usd(month)} a month ({shown}). "
    )
    evidence = shown or "no price has been stated"
    if fix is None or fix.usd_month is None:
        return FollowUp(
            text=f"{spent}What would mending your bottleneck cost a month, and what else could you "
            "do for that money?",
            evidence=evidence,
        )
    offer = f"Your fix costs {format_usd(fix.usd_month.mid)} a month and buys {fix.buys or 'what?'}"
    against = f"; {fix.alternatives[0].change!r} is the other way" if fix.alternatives else ""
    return FollowUp(text=f"{spent}{offer}{against}. Why is it worth it?", evidence=evidence)


def _evidence(found: Simulated) -> str:
    shown = [
        f"{line.objective} {line.verdict}"
        + (f" at {line.headroom[1]:.2g}x" if line.headroom[1] is not None else "")
        for line in found.order[:3]
    ]
    return (
        f"simulated {found.requests:,} requests, seeds {', '.join(map(str, found.seeds))}: "
        + "; ".join(shown)
    )
