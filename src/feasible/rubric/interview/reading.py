"""From what was said to a brief with timed events, by rules and patterns alone.

What cannot be read for sure is asked. Nothing is ever guessed, and nothing is scored here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from feasible.rubric.interview.draft import GAP, Ask, Draft, Quote, quote_of
from feasible.rubric.interview.fixes import with_numbers
from feasible.rubric.interview.goals import read_goal, read_metrics
from feasible.rubric.interview.layers import follow_reach, read_layers, read_tiers
from feasible.rubric.interview.limits import read_labels, read_limits, read_traffic
from feasible.rubric.interview.topics import Sentence, Topic, sentences
from feasible.rubric.interview.transcript import Transcript
from feasible.rubric.interview.weaknesses import read_bottleneck, read_failures, read_tradeoff
from feasible.rubric.lexicon import names_a_model
from feasible.rubric.spoken import LIMIT_KINDS, Said, SaidKind
from feasible.schema import SECTIONS, Brief, BriefFile, Objective, decode_quantity
from feasible.units import Quantity

__all__ = ["Reading", "read_design"]

_REASONS: Final = re.compile(
    r"\b(?:latency|cost|quality|accuracy|size|compute|ms)\b", re.IGNORECASE
)
_FEW: Final = 2
_PARTS: Final = (
    ("goal", "goal"),
    ("metrics", "metrics"),
    ("envelope", "envelope"),
    ("layers", "layers"),
    ("tiers", "layers"),
    ("failures", "failures"),
    ("bottleneck", "bottleneck"),
    ("tradeoff", "tradeoff"),
)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a text says of a design."""

    found: BriefFile
    """The design as a brief whose places are lines of the text."""
    events: tuple[Said, ...]
    """What was said when, in its order; empty for a document, which has no clock."""
    quotes: dict[str, Quote]
    """Path inside the brief -> the words it was read from."""
    asks: tuple[Ask, ...]
    """What could not be read for sure."""
    model_named: Quote | None
    """The first model, technique or pipeline that is named as an answer."""
    gap_named: Quote | None
    """An honest "I have not worked with that" that reasons on from latency, cost or quality."""
    said: tuple[Sentence, ...]


def read_design(transcript: Transcript) -> Reading:
    """Read a transcript or a design document.

    Args:
        transcript: What was said, in its order.
    """
    said = sentences(transcript)
    draft = Draft()
    for read in (
        read_goal,
        read_metrics,
        read_limits,
        read_traffic,
        _promise_peak,
        read_labels,
        read_tiers,
        read_layers,
        read_bottleneck,
        read_failures,
        read_tradeoff,
    ):
        read(draft, said)
    follow_reach(draft)
    brief = with_numbers(_brief(draft, transcript.name))
    named = _first_model(said)
    return Reading(
        found=_placed(
            brief,
            draft,
            transcript.name,
            early=None if transcript.is_timed else _early(draft, named),
        ),
        events=_events(draft, brief, named) if transcript.is_timed else (),
        quotes=draft.quotes,
        asks=tuple(draft.asks),
        model_named=named,
        gap_named=_first_gap(transcript, said),
        said=said,
    )


def _promise_peak(draft: Draft, _: tuple[Sentence, ...]) -> None:
    """Promise the peak that was said, or that a rate and its multiple come to."""
    traffic = draft.traffic
    top, rate, peak = traffic.pop("_top", None), traffic.get("rate"), traffic.get("peak")
    per_s = None if rate is None else Quantity(rate).mid
    if top is None and per_s is not None and peak is not None:
        top = per_s * Quantity(peak).mid
        draft.quotes["traffic._top"] = draft.quotes["traffic.peak"]
    if top is None:
        return
    if per_s and peak is None:
        traffic["peak"] = f"{top / per_s:.4g}x"
    draft.envelope.setdefault(
        "throughput_peak", {"throughput": "peak", "at_least": f"{top:.10g} / s"}
    )
    draft.quotes.setdefault("envelope.throughput_peak", draft.quotes["traffic._top"])


def _brief(draft: Draft, name: str) -> Brief:
    draft.labels.pop("_count", None)
    classes = list(draft.labels.get("positives_per_month", {}))
    for entry in draft.envelope.values():
        if entry.get("quality") == "recall" and "of" not in entry and len(classes) == 1:
            entry["of"] = classes[0]  # the one class whose labels are counted
    ids: dict[str, str] = {}
    envelope: list[dict[str, Any]] = []
    for key, entry in draft.envelope.items():
        ids[key] = _made(entry, Objective).id
        if ids[key] not in {_made(e, Objective).id for e in envelope}:
            envelope.append(entry)
    bottleneck = {k: v for k, v in draft.bottleneck.items() if not k.startswith("_")}
    tradeoff = dict(draft.tradeoff)
    for part in (bottleneck, tradeoff):
        if "objective" in part:
            part["objective"] = ids[part["objective"]]
    if tradeoff:
        tradeoff = {"gave_up": "", "got": "", **tradeoff}
    retrain = draft.layers.get("feedback", {}).get("retrain", {})
    if "labels" in retrain and "arrive_after" in draft.labels:  # they are the labels spoken of
        retrain.setdefault("label_delay", draft.labels["arrive_after"])
    tiers = [_kept(tier, ids) for tier in draft.tiers.values()]
    tiers.sort(
        key=lambda tier: tier["kind"] == "person"
    )  # whatever was said last, people are asked last
    layers: dict[str, Any] = {name: _kept(layer, ids) for name, layer in draft.layers.items()}
    plain: dict[str, Any] = {
        "feasible": 1,
        "name": Path(name).stem,
        "goal": {"statement": "", **draft.goal},
        "metrics": list(draft.metrics.values()),
        "envelope": envelope,
        "traffic": draft.traffic,
        "labels": draft.labels,
        "layers": {**layers, "tiers": tiers},
        "failures": draft.failures,
    }
    plain |= {"bottleneck": bottleneck} if "knob" in bottleneck else {}
    plain |= {"tradeoff": tradeoff} if tradeoff else {}
    brief: Brief = _made(plain, Brief)
    return brief


def _kept(part: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    if "keeps" not in part:
        return part
    return {**part, "keeps": [ids[key] for key in part["keeps"] if key in ids]}


def _made(plain: Any, kind: Any) -> Any:
    return msgspec.convert(plain, kind, dec_hook=decode_quantity, strict=False)


def _events(draft: Draft, brief: Brief, named: Quote | None) -> tuple[Said, ...]:
    """Give what the rubric's clock looks at: limits, the first model, the bottleneck, its price."""
    out = []
    for entry in draft.envelope.values():
        objective: Objective = _made(entry, Objective)
        kept = {other.id for other in brief.envelope}
        about = objective.id if objective.id in kept else objective.kind
        key = next(key for key, other in draft.envelope.items() if other is entry)
        out.append(_event(SaidKind.OBJECTIVE, draft.quotes[f"envelope.{key}"], about=about))
    for kind, quote in (
        (SaidKind.MODEL_NAMED, named),
        (SaidKind.BOTTLENECK, draft.quotes.get("bottleneck.knob")),
        (SaidKind.COST, draft.quotes.get("bottleneck.fix.usd_month")),
        (SaidKind.FAILURE, draft.quotes.get("failures[0].fallback")),
    ):
        if quote is not None:
            out.append(_event(kind, quote))
    first = _event(SaidKind.STAGE, Quote(text="", line=1, at_s=0.0), about="scope")
    return tuple(sorted(out, key=lambda event: event.at_s)) or (first,)


def _event(kind: SaidKind, quote: Quote, *, about: str | None = None) -> Said:
    return Said(at_s=quote.at_s or 0.0, kind=kind, text=quote.text, about=about)


def _early(draft: Draft, named: Quote | None) -> int | None:
    """Give the line that names a model before the last limit was first stated; None without one."""
    if named is None:
        return None
    stated: dict[str, int] = {}
    for key, entry in draft.envelope.items():
        kind = next((kind for kind, kinds in LIMIT_KINDS.items() if kinds & set(entry)), None)
        if kind is not None:
            stated.setdefault(kind, draft.quotes[f"envelope.{key}"].line)
    is_early = len(stated) < _FEW or named.line < max(stated.values())
    return named.line if is_early else None


def _placed(brief: Brief, draft: Draft, name: str, *, early: int | None) -> BriefFile:
    """Give the brief with the lines of the text as its places.

    The rubric reads the order of the sections: a model that was named first stands first.
    """
    lines: dict[str, int] = {path: quote.line for path, quote in draft.quotes.items()}
    for index, key in enumerate(draft.envelope):
        lines[f"envelope[{index}]"] = lines.get(f"envelope.{key}", 1)
    for index, tier in enumerate(draft.tiers):
        lines[f"layers.tiers[{index}]"] = lines.get(f"tiers.{tier}", 1)
    first: dict[str, int] = {}
    for prefix, section in _PARTS:
        at = [line for path, line in lines.items() if path.split(".")[0].split("[")[0] == prefix]
        if at:
            first[section] = min(first.get(section, 10**9), *at)
    lines |= {section: line for section, line in first.items() if section not in lines}
    order: tuple[str, ...] = SECTIONS
    if early is not None:
        lines["layers"] = early
        rest = [section for section in SECTIONS if section != "layers"]
        rest.insert(rest.index("envelope"), "layers")
        order = tuple(rest)
    return BriefFile(brief=brief, path=Path(name), lines=lines, order=order)


def _first_model(said: tuple[Sentence, ...]) -> Quote | None:
    """Give the first sentence that answers with a model or a pipeline, and does not turn it down."""
    for sentence in said:
        is_turned_down = GAP.search(sentence.text) or re.search(
            r"\bbefore\b[^.]*\bmodels?\b|\bpremise\b", sentence.text, re.IGNORECASE
        )
        is_pipeline = sentence.topic is Topic.DATA and re.search(
            r"\b(?:collect|warehouse|lake|pipeline|start with data)\b", sentence.text, re.IGNORECASE
        )
        if not is_turned_down and (names_a_model(sentence.text) or is_pipeline):
            return quote_of(sentence)
    return None


def _first_gap(transcript: Transcript, said: tuple[Sentence, ...]) -> Quote | None:
    for sentence in said:
        if GAP.search(sentence.text):
            turn = transcript.turns[sentence.turn]
            if _REASONS.search(turn.text):
                return quote_of(sentence)
    return None
