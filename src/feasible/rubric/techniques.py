"""What a technique changes in a design, and a what-if that is computed on a brief's own numbers."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from feasible.errors import BadInput, nearest
from feasible.rubric.whatif import simulate_stated
from feasible.schema import Brief, TierKind, TierSpec
from feasible.simulation import Simulated, cost_lines, middles, sheet
from feasible.units import Duration, Quantity, Ratio, Usd, format_usd

__all__ = ["Effect", "Explained", "Figure", "Technique", "explain", "explained_text", "techniques"]

Field = Literal["usd", "latency_p95", "reach", "capacity", "ready_in", "adapts_in"]


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the brief that a technique moves."""

    field: Field
    factor: float
    """Times its value. Assumed for the example, unless the technique says that it was measured."""
    of: Literal["tier", "next"] = "tier"
    """The tier that the technique is used on, or the one behind it."""


class Technique(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when somebody uses it."""

    name: str
    latency: str
    cost: str
    quality: str
    adaptation: str
    delivery: str
    knob: str
    """Which numbers of the brief model it; TIER stands for a tier's name."""
    effects: tuple[Effect, ...] = ()
    repeated: float | None = None
    """Share of requests that a cache answers in the example."""
    basis: str = "assumed"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the design, without the technique and with it."""

    name: str
    before: str
    after: str


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A technique with its what-if on one brief."""

    technique: Technique
    brief: str
    tier: str | None
    changed: tuple[Figure, ...]
    """Numbers of the brief that were turned."""
    computed: tuple[Figure, ...]
    """What follows from them, by closed forms and by simulation. Nothing was measured."""


_NONE: Final = "no change of its own"
_TECHNIQUES: Final = (
    Technique(
        name="fine-tuning",
        latency="none for the same model; a smaller tuned one may replace a larger one",
        cost="a run and its labels each time, and a model of your own to host",
        quality="better on what the labels show, so fewer cases go to the next tier",
        adaptation="slow: new labels, a run, an evaluation, a rollout",
        delivery="weeks, most of them for labels",
        knob="reach of the next tier, TIER.adapts_in, retrain.usd, retrain.labels",
        effects=(
            Effect(field="reach", factor=0.75, of="next"),
            Effect(field="adapts_in", factor=2),
        ),
    ),
    Technique(
        name="lora",
        latency="a little more per call unless the adapter is merged",
        cost="a small share of a full run; one base model serves many adapters",
        quality="near a full fine-tune on narrow tasks",
        adaptation="faster than a full run: hours instead of days",
        delivery="as fine-tuning, less the large machines",
        knob="retrain.usd, TIER.adapts_in, reach of the next tier",
        effects=(
            Effect(field="reach", factor=0.8, of="next"),
            Effect(field="adapts_in", factor=0.5),
        ),
    ),
    Technique(
        name="retrieval",
        latency="a search before each call and a longer prompt",
        cost="more tokens read per call, and an index to keep",
        quality="facts that the model never saw; wrong when the search is",
        adaptation="as fast as the index: minutes, without training",
        delivery="days, once the documents are clean",
        knob="TIER.usd, TIER.latency_p95, TIER.adapts_in, features.max_age",
        effects=(
            Effect(field="usd", factor=1.6),
            Effect(field="latency_p95", factor=1.25),
            Effect(field="adapts_in", factor=0.05),
        ),
    ),
    Technique(
        name="few-shot",
        latency="a longer prompt on every call",
        cost="the examples are paid for on every call, unless their prefix is cached",
        quality="a start with a handful of labels; below a trained model once there are many",
        adaptation="at once: change the examples",
        delivery="a day",
        knob="TIER.usd, TIER.latency_p95, TIER.ready_in",
        effects=(
            Effect(field="usd", factor=1.5),
            Effect(field="latency_p95", factor=1.15),
            Effect(field="ready_in", factor=0.1),
        ),
    ),
    Technique(
        name="distillation",
        latency="that of the small model",
        cost="a fraction per call; the large model labels once",
        quality="a little below its teacher, so more cases go to the next tier",
        adaptation="slower by one step: the teacher first, then the student",
        delivery="weeks",
        knob="TIER.usd, TIER.latency_p95, TIER.capacity, reach of the next tier",
        effects=(
            Effect(field="usd", factor=0.2),
            Effect(field="latency_p95", factor=0.3),
            Effect(field="capacity", factor=3),
            Effect(field="reach", factor=1.2, of="next"),
        ),
    ),
    Technique(
        name="quantisation",
        latency="about half in 8 bits where the processor can; 16 bits may be slower",
        cost="falls with the time of a call where you host it; none where you pay by the call",
        quality="a small loss that moves the thresholds: calibrate again for each format",
        adaptation=_NONE,
        delivery="a day, with a measurement on your own machine and rows",
        knob="TIER.latency_p95, TIER.capacity, TIER.usd_hour",
        effects=(
            Effect(field="latency_p95", factor=0.47),
            Effect(field="capacity", factor=1.8),
            Effect(field="reach", factor=1.05, of="next"),
        ),
        basis="assumed; an 8-bit sentence encoder took 0.47 of the time on one CPU",
    ),
    Technique(
        name="onnx",
        latency="somewhat less: one graph, fused, without the training framework",
        cost="falls with the time of a call",
        quality="none beyond rounding; compare the answers",
        adaptation="one more step in each release",
        delivery="days; some operators do not export",
        knob="TIER.latency_p95, TIER.capacity",
        effects=(Effect(field="latency_p95", factor=0.8), Effect(field="capacity", factor=1.25)),
    ),
    Technique(
        name="federated learning",
        latency="none while serving",
        cost="machines and upkeep at every site",
        quality="more cases than one site has; weaker where sites differ",
        adaptation="slower: rounds wait for the slowest site",
        delivery="about three weeks more; less regulatory risk, since data stays",
        knob="TIER.ready_in, TIER.leaves_site, `residency` in the envelope",
        effects=(Effect(field="ready_in", factor=1.4), Effect(field="adapts_in", factor=2)),
    ),
    Technique(
        name="caching",
        latency="a millisecond for a hit",
        cost="a hit costs nothing, so the mean falls with the share of repeats",
        quality="an old answer, or in a cache by meaning a wrong one: both need a limit",
        adaptation="as old as its time to live, unless it is emptied",
        delivery="days",
        knob="traffic.repeated, TIER.ttl, TIER.invalidate, TIER.false_hit",
        repeated=0.6,
    ),
    Technique(
        name="longer context",
        latency="more to read before the first word; in a conversation it grows with every turn",
        cost="each token is paid for; resending a history costs the square of its turns",
        quality="helps until what matters drowns in the rest",
        adaptation="at once: put it into the prompt",
        delivery="hours",
        knob="TIER.usd, TIER.latency_p95",
        effects=(Effect(field="usd", factor=2.0), Effect(field="latency_p95", factor=1.7)),
    ),
)


def techniques() -> tuple[str, ...]:
    """Give the names of the techniques."""
    return tuple(technique.name for technique in _TECHNIQUES)


def explain(name: str, brief: Brief, *, tier: str | None = None) -> Explained:
    """Say what a technique changes, and compute it on a brief.

    Args:
        name: The technique; capitals and dashes do not matter.
        brief: The design that it is tried on.
        tier: The tier that it is used on; None for the dearest machine tier that answers at once.

    Raises:
        BadInput: There is no such technique, or no such tier.
    """
    technique = _named(name)
    used_on = _tier(brief, tier)
    changed, turned = _turned(brief, technique, used_on)
    before, after = _figures(brief), _figures(turned)
    return Explained(
        technique=technique,
        brief=brief.name,
        tier=None if used_on is None or technique.repeated is not None else used_on.name,
        changed=changed,
        computed=tuple(Figure(name=key, before=before[key], after=after[key]) for key in before),
    )


def _named(name: str) -> Technique:
    plain = name.lower().replace("-", " ").replace("_", " ").replace("quantiz", "quantis")
    for technique in _TECHNIQUES:
        if technique.name.replace("-", " ") == plain:
            return technique
    close = nearest(plain, techniques())
    raise BadInput(
        f"nothing is known of {name!r}",
        found=f"known: {', '.join(techniques())}",
        attempt=f'feasible explain "{close or techniques()[0]}"',
    )


def _tier(brief: Brief, name: str | None) -> TierSpec | None:
    tiers = {tier.name: tier for tier in brief.layers.tiers}
    if name is not None:
        if name not in tiers:
            close = nearest(name, tiers)
            raise BadInput(
                f"{brief.name} has no tier {name!r}",
                found=f"tiers: {', '.join(tiers) or 'none'}",
                attempt=f"--tier {close or next(iter(tiers), 'NAME')}",
            )
        return tiers[name]
    used = [
        tier
        for tier in tiers.values()
        if tier.kind in {TierKind.MODEL, TierKind.LLM}
        and not tier.asynchronous
        and (tier.reach is None or tier.reach.mid > 0)
    ]
    return max(used, key=lambda t: 0.0 if t.usd is None else t.usd.mid, default=None)


def _turned(
    brief: Brief, technique: Technique, used_on: TierSpec | None
) -> tuple[tuple[Figure, ...], Brief]:
    """Turn the numbers of a brief, and say which."""
    tiers, changed = list(brief.layers.tiers), list[Figure]()
    at = next(
        (i for i, t in enumerate(tiers) if used_on is not None and t.name == used_on.name), -1
    )
    for effect in technique.effects if at >= 0 else ():
        behind = [i for i in range(at + 1, len(tiers)) if (_mid(tiers[i].reach) or 0.0) > 0]
        index = at if effect.of == "tier" else next(iter(behind), -1)
        value = getattr(tiers[index], effect.field) if index >= 0 else None
        if value is None:
            continue
        new = _scaled(value, effect.factor)
        knob = f"{tiers[index].name}.{effect.field}"
        changed.append(Figure(name=knob, before=str(value), after=str(new)))
        tiers[index] = msgspec.structs.replace(tiers[index], **{effect.field: new})
    traffic = brief.traffic
    if technique.repeated is not None:
        now = Ratio("0 %") if traffic.repeated is None else traffic.repeated
        hits = Ratio(f"{max(technique.repeated, now.mid) * 100:.4g} %")
        changed.append(Figure(name="traffic.repeated", before=str(now), after=str(hits)))
        traffic = msgspec.structs.replace(traffic, repeated=hits)
        tiers = _behind_a_cache(tiers, left=(1 - hits.mid) / (1 - now.mid))
    layers = msgspec.structs.replace(brief.layers, tiers=tuple(tiers))
    return tuple(changed), msgspec.structs.replace(brief, layers=layers, traffic=traffic)


def _behind_a_cache(tiers: list[TierSpec], *, left: float) -> list[TierSpec]:
    """Let fewer requests reach every tier, and put a cache before them where there is none."""
    fewer = [
        tier
        if tier.reach is None
        else msgspec.structs.replace(tier, reach=_scaled(tier.reach, left))
        for tier in tiers
    ]
    if any(tier.kind is TierKind.CACHE for tier in tiers):
        return fewer
    cache = TierSpec(name="cache", kind=TierKind.CACHE, usd=Usd("$0"), latency_p95=Duration("1 ms"))
    return [cache, *fewer]


def _mid(value: Quantity | None) -> float | None:
    return None if value is None else value.mid


def _scaled(value: Quantity, factor: float) -> Quantity:
    """Give a quantity times a factor, at the middle of its range."""
    size = value.mid * factor
    if isinstance(value, Ratio):
        return Ratio(f"{min(size, 1.0) * 100:.4g} %")
    raw = {
        "usd": f"${size:.12f}".rstrip("0").rstrip("."),
        "duration": f"{size * 1e3:.6g} ms" if size < 1 else f"{size:.12g} s",
        "rate": f"{size:.12g} / s",
    }[value.dimension]
    return type(value)(raw)


def _figures(brief: Brief) -> dict[str, str]:
    """Compute what a design costs and bears, from its own numbers."""
    lines = cost_lines(brief, middles(sheet(brief), brief))
    usd = None if lines is None else sum(float(line[0]) for line in lines.values())
    found = simulate_stated(brief, seed=0)
    figures = {"$ a decision, all lines": format_usd(usd)}
    if found is not None:
        now = found.curve[0]
        figures["p50 and p99 at today's load"] = f"{now.p50_ms:.3g} and {now.p99_ms:.3g} ms"
        figures["what breaks first"] = _first(found)
    return figures


def _first(found: Simulated) -> str:
    for line in found.order:
        if line.verdict == "broken":
            return f"{line.objective} is broken at today's load"
    name = found.first.constraint
    multiple = next((li.headroom[1] for li in found.order if li.objective == name), None)
    return "nothing within 20 times the load" if multiple is None else f"{name} at {multiple:.3g}x"


def explained_text(said: Explained) -> str:
    """Give a technique and its what-if as plain text."""
    technique = said.technique
    rows = [
        (what, getattr(technique, what))
        for what in ("latency", "cost", "quality", "adaptation", "delivery", "knob")
    ]
    lines = [technique.name, *(f"  {what:<11} {text}" for what, text in rows), ""]
    where = said.brief if said.tier is None else f"tier `{said.tier}` of {said.brief}"
    lines.append(f"what if, on {where} (factors {technique.basis}; nothing below was measured)")
    if not said.changed:
        lines.append("  no number of this brief models it: state one of the knobs above")
    width = max(len(figure.name) for figure in (*said.changed, *said.computed))
    lines += [f"  {f.name:<{width}}  {f.before}  ->  {f.after}" for f in said.changed]
    lines += [f"  {f.name:<{width}}  {f.before}  ->  {f.after}" for f in said.computed]
    return "\n".join(lines)
