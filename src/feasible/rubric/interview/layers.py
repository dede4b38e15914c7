"""How it is built: the five layers and the tiers with their numbers, out of sentences."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Any, Final

from feasible.rubric.interview.amounts import Said, amounts
from feasible.rubric.interview.draft import GAP, Draft, components, quote_of
from feasible.rubric.interview.topics import Sentence, Topic
from feasible.rubric.lexicon import wants_more_data
from feasible.schema import TierKind

__all__ = ["follow_reach", "objectives_in", "read_layers", "read_tiers", "resolve"]

_BUILT: Final = frozenset(
    {Topic.OPEN, Topic.TIERS, Topic.DATA, Topic.FEATURES, Topic.SERVING, Topic.BOTTLENECK}
)
_PARTS: Final = frozenset({Topic.DATA, Topic.FEATURES, Topic.TIERS})
_ANSWERED: Final = frozenset({Topic.OPEN, Topic.TIERS, Topic.BOTTLENECK})
_TOLD: Final = re.compile(r"\b(?:fall(?:s|ing)? ?back|fallback)\b", re.IGNORECASE)
_RETRAIN: Final = re.compile(
    r"\bretrain\w*|\btrain(?:ing|ed)? (?:weekly|daily|monthly)", re.IGNORECASE
)
_EVERY: Final = {
    "hourly": "1 h",
    "nightly": "1 d",
    "each night": "1 d",
    "daily": "1 d",
    "weekly": "7 d",
    "each week": "7 d",
    "monthly": "30 d",
    "each month": "30 d",
    "quarterly": "90 d",
}
_SEEN: Final = re.compile(
    r"\b(?:detect\w*|seen?|sees|notic\w+|alarm\w*|alerts?|drift seen|heartbeat|lag)\b",
    re.IGNORECASE,
)
_REACH: Final = re.compile(
    r"\b(?:sees?|reach(?:es)?|gets?|remaining|reaching|used by|opted|go(?:es)? to|all\b)",
    re.IGNORECASE,
)
_ANSWERS: Final = re.compile(
    r"\b(?:takes?|takes the|answers?|catch(?:es)?|covers?|solves?)\b", re.IGNORECASE
)
_TURNED_DOWN: Final = re.compile(
    r"\bwhy not\b|\bover (?:the|both) (?:cap|limits?)\b|\btimes over\b|\btakes days\b",
    re.IGNORECASE,
)
_BEARS: Final = re.compile(
    r"\b(?:do|does|handles?|can (?:do|take)|capacity|limited to|slots|contract|supply)\b",
    re.IGNORECASE,
)
_OFFERED: Final = re.compile(r"\b(?:sees|gets|we (?:need|have|get)|peak|load)\b", re.IGNORECASE)
_LABEL: Final = re.compile(r"^(?:the\s+)?(?:tiers?|models?)(?:\s+layer)?\s*:\s*", re.IGNORECASE)
_SLOWEST_S: Final = 3600.0  # no machine takes longer to answer
_GENERIC: Final = frozenset(
    [
        "model",
        "tier",
        "small",
        "tiny",
        "text",
        "image",
        "last",
        "good",
        "online",
        "first",
        "deep",
        "store",
        "service",
        "fleet",
        "vendor",
    ]
)
_ABOUT_RIGHT: Final = re.compile(
    r"\b(?:accuracy|recall|precision|confiden\w+|agrees?|busy|correct|wrong|lift)\b", re.IGNORECASE
)
_STEP: Final = re.compile(
    r"[;:.]\s+|,\s+(?=(?:then|and then|a |an |the )?)|\bthen\b|\band (?:then )?"
)
_CITES: Final = {
    "latency": r"latency|p\d\d\b|median|deadline|\bms\b|response time|in time",
    "cost": r"cost|\$|cheap|cents?",
    "quality": r"accuracy|recall|precision|quality|floor|correct|confirm|label|omission|error",
    "freshness": r"fresh|stale|older|age\b|ttl|old at most|no older|refreshed|real[- ]time",
    "adaptation": r"adapt|new pattern|new \w+ (?:live|covered)|retrain|trend|react",
    "throughput": r"per second|peak|capacity|/ ?s\b",
    "availability": r"availab|uptime|fall ?back|fallback|down\b",
    "people": r"reviewers?|person|agents|nurses|clerks",
    "residency": r"on[- ]site|leaves|data leaves|country",
}
_CITE: Final = {kind: re.compile(words, re.IGNORECASE) for kind, words in _CITES.items()}


def objectives_in(text: str, draft: Draft) -> tuple[str, ...]:
    """Give the keys of the promises that a sentence is there for, by its words."""
    return tuple(
        key
        for key, entry in draft.envelope.items()
        for kind, words in _CITE.items()
        if kind in entry and words.search(text)
    )


def read_layers(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read the layers around the tiers: data, features, serving, feedback."""
    for sentence in said:
        if sentence.topic is Topic.DATA:
            layer = _layer(draft, "data", sentence)
            _put(draft, "data", layer, "source", sentence.text, sentence)
            if re.search(r"real[- ]time|stream\w*|live\b", sentence.text, re.IGNORECASE):
                _put(draft, "data", layer, "mode", "real-time", sentence)
            elif re.search(r"batch|each day|nightly|weekly", sentence.text, re.IGNORECASE):
                _put(draft, "data", layer, "mode", "batch", sentence)
            if re.search(r"\blabels?\b|confirm|report|correction", sentence.text, re.IGNORECASE):
                _put(draft, "data", layer, "labels", sentence.text, sentence)
        if sentence.topic is Topic.FEATURES:
            layer = _layer(draft, "features", sentence)
            _put(draft, "features", layer, "computed", sentence.text, sentence)
            for amount in amounts(sentence.text):
                if amount.kind == "duration" and amount.value < 30 * 86_400:
                    _put(draft, "features", layer, "max_age", amount.raw, sentence)
        if wants_more_data(sentence.text):  # the one sentence about labels that must be seen
            _layer(draft, "data", sentence)["labels"] = sentence.text
            draft.quotes["layers.data.labels"] = quote_of(sentence)
        _serving(draft, sentence)
        _feedback(draft, sentence)


def _layer(draft: Draft, name: str, sentence: Sentence) -> dict[str, Any]:
    layer = draft.layers.setdefault(name, {})
    cited = [*layer.get("keeps", ()), *objectives_in(sentence.text, draft)]
    if cited:
        layer["keeps"] = tuple(dict.fromkeys(cited))
    return layer


def _put(
    draft: Draft, name: str, layer: dict[str, Any], key: str, value: Any, source: Sentence
) -> None:
    draft.put(f"layers.{name}", layer, key, value, source)


def _serving(draft: Draft, sentence: Sentence) -> None:
    is_here = sentence.topic is Topic.SERVING
    if not is_here and not (_TOLD.search(sentence.text) and sentence.topic in _BUILT):
        return
    layer = _layer(draft, "serving", sentence)
    if is_here:
        _put(draft, "serving", layer, "note", sentence.text, sentence)
        for amount in amounts(sentence.text):
            if amount.kind == "duration":
                _put(draft, "serving", layer, "deadline", amount.raw, sentence)
    if _TOLD.search(sentence.text):
        told = re.sub(r"\bwhen\b.*?\b(?:down|slow|out|stale)\b", " ", sentence.text)
        near = resolve(draft, told)
        if near is not None:
            _put(draft, "serving", layer, "fallback", {"default": near}, sentence)


def _feedback(draft: Draft, sentence: Sentence) -> None:
    is_here = sentence.topic is Topic.FEEDBACK
    retrains = _RETRAIN.search(sentence.text) is not None and sentence.topic in _BUILT | {
        Topic.FEEDBACK
    }
    if not is_here and not retrains:
        return
    layer = _layer(draft, "feedback", sentence)
    if is_here:
        _put(draft, "feedback", layer, "drift", sentence.text, sentence)
    retrain: dict[str, Any] = layer.setdefault("retrain", {}) if retrains else {}
    at_retrain = _RETRAIN.search(sentence.text)
    near_it = "" if at_retrain is None else sentence.text[max(0, at_retrain.start() - 12) :][:45]
    for word, every in _EVERY.items():
        if re.search(rf"\b{word}\b", near_it, re.IGNORECASE):
            draft.put("layers.feedback.retrain", retrain, "every", every, sentence)
    for amount in amounts(sentence.text):
        near = sentence.text[max(0, amount.start - 30) : amount.end + 12]
        is_after = at_retrain is not None and amount.start > at_retrain.start()
        if amount.kind == "duration" and _SEEN.search(near) and not is_after:
            _put(draft, "feedback", layer, "detected_in", amount.raw, sentence)
        elif amount.kind == "duration" and is_after and "every" in near:
            draft.put("layers.feedback.retrain", retrain, "every", amount.raw, sentence)
        elif amount.kind == "usd" and is_after:
            key = "usd_per_label" if re.search(r"label", near, re.IGNORECASE) else "usd"
            draft.put("layers.feedback.retrain", retrain, key, amount.raw, sentence)
        elif (
            amount.kind == "count"
            and is_after
            and re.search(r"label|case|verified", near, re.IGNORECASE)
        ):
            draft.put("layers.feedback.retrain", retrain, "labels", amount.value, sentence)
        elif amount.kind == "ratio" and "audit" in sentence.text:
            _put(draft, "feedback", layer, "audit_share", amount.raw, sentence)
    if retrains and not retrain:
        retrain["trigger"] = sentence.text


def read_tiers(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read what answers, cheapest first, with price, time, share and capacity."""
    last_turn, current = -1, ""
    promised = max(
        (q.line for at, q in draft.quotes.items() if at.startswith("envelope.")), default=0
    )
    challenged = _first(said, {Topic.BOTTLENECK, Topic.TRADEOFF}, after=promised)
    for sentence in said:
        if sentence.topic not in _ANSWERED:
            continue
        if sentence.turn != last_turn:
            last_turn, current = sentence.turn, ""
        is_told = sentence.line > promised or _first(said, _PARTS) < sentence.line
        makes = sentence.topic is Topic.TIERS or (sentence.topic is Topic.OPEN and is_told)
        if makes and sentence.line > challenged:
            continue
        if _TURNED_DOWN.search(sentence.text) or GAP.search(sentence.text):
            continue
        for step in _steps(_LABEL.sub("", sentence.text)):
            for name, kind, _, _ in components(step):
                known = resolve(draft, name.replace("_", " "))
                if known is None and makes and (amounts(step) or sentence.topic is Topic.TIERS):
                    current = name
                    draft.tier(name, kind, sentence)
                elif known is not None:
                    current = known
                break
            if current and (sentence.topic is not Topic.BOTTLENECK or _bears(step, sentence)):
                _fill(draft, draft.tiers[current], step, sentence)


def _first(said: tuple[Sentence, ...], topics: AbstractSet[Topic], *, after: int = 0) -> int:
    """Give the first line, after another one, at which something is told of one of these topics."""
    lines = (s.line for s in said if s.topic in topics and s.line > after)
    return next(lines, 10**9)


def _bears(step: str, sentence: Sentence) -> bool:
    """Claim that a step of an answer about load says what a part can bear."""
    return "$" not in sentence.text and bool(_BEARS.search(step))


def _steps(text: str) -> list[str]:
    return [part for part in _STEP.split(text) if part.strip()]


def _fill(draft: Draft, tier: dict[str, Any], step: str, sentence: Sentence) -> None:
    """Give a tier the numbers of one step of a sentence."""
    name = tier["name"]
    cited = [*tier.get("keeps", ()), *objectives_in(step, draft)]
    if cited:
        tier["keeps"] = tuple(dict.fromkeys(cited))
    for amount in amounts(step):
        others = [a.end for a in amounts(step) if a.end <= amount.start]
        key, value = _number(tier, amount, step, lead=step[max(others, default=0) : amount.start])
        if key == "_repeated":
            draft.put("traffic", draft.traffic, "repeated", value, sentence)
        elif key is not None and not (key == "latency_p95" and amount.value > _SLOWEST_S):
            draft.put(f"tiers.{name}", tier, key, value, sentence)


def _number(tier: dict[str, Any], amount: Said, step: str, *, lead: str) -> tuple[str | None, Any]:
    """Say which field of a tier a number fills; None for none.

    Args:
        tier: The tier.
        amount: The number.
        step: The words that it stands in.
        lead: The words between it and the number before it.
    """
    kind, words = tier["kind"], step
    if amount.kind == "duration":
        if re.search(r"\bttl\b|refresh|expires|clear", lead, re.IGNORECASE):
            return ("ttl", amount.raw) if kind == TierKind.CACHE.value else (None, None)
        if _RETRAIN.search(words) or re.search(r"\bevery\b|window|shift", words, re.IGNORECASE):
            return None, None
        return ("answer_within" if kind == TierKind.PERSON.value else "latency_p95"), amount.raw
    if (
        amount.kind == "usd"
        and amount.per_s is None
        and not re.search(r"\b(?:under|over|above|below) $", words[: amount.start], re.IGNORECASE)
    ):
        return "usd", amount.raw
    if amount.kind == "usd" and amount.per_s == 3600:
        return "usd_hour", amount.raw
    if amount.kind == "rate" and not _OFFERED.search(words[: amount.start]):
        return "capacity", amount.raw
    if amount.kind == "ratio" and _ABOUT_RIGHT.search(words):
        return None, None
    if amount.kind == "ratio":
        if re.search(r"\ball\b[^,]*\bbut\b", words[: amount.start], re.IGNORECASE):
            return "reach", f"{(1 - amount.value) * 100:.6g} %"
        if kind == TierKind.CACHE.value or re.search(r"\bhits?\b|cached", words, re.IGNORECASE):
            return "_repeated", amount.raw
        if _ANSWERS.search(words) and not _REACH.search(words) and kind != TierKind.PERSON.value:
            return "_answers", amount.value
        return "reach", amount.raw
    return None, None


def follow_reach(draft: Draft) -> None:
    """Work out who reaches a tier where only the shares before it were said."""
    left = 1.0
    for tier in draft.tiers.values():
        answered = tier.pop("_answers", None)
        stated = tier.get("reach")
        if stated is not None:
            left = min(left, float(stated.rstrip(" %")) / 100)
        elif left < 1.0:
            tier["reach"] = f"{left * 100:.6g} %"
        if answered is not None:
            left = max(left - answered, 0.0)


def resolve(draft: Draft, words: str) -> str | None:
    """Give the tier that words speak of; None when none is, or several are, as likely.

    A tier is meant by its whole name, else by its last word when no other tier shares it.
    """
    text = words.lower().replace("-", " ").replace("_", " ")
    whole = [n for n in draft.tiers if re.search(rf"\b{n.replace('_', ' ')}s?\b", text)]
    if whole:
        return max(whole, key=len)
    heads: dict[str, list[str]] = {}
    for name in draft.tiers:
        for part in {name.split("_")[-1], name.split("_")[0]}:
            heads.setdefault(part, []).append(name)
    spoken = set(re.findall(r"[a-z]+", text)) | {w.removesuffix("s") for w in text.split()}
    own = [n for n in draft.tiers if (set(n.split("_")) - _GENERIC) & spoken]
    if len(own) == 1:
        return own[0]
    for name, kind, _, _ in components(words):
        for part in (name.split("_")[-1], name.split("_")[0]):
            if len(heads.get(part, ())) == 1:
                return heads[part][0]
        if kind in {TierKind.PERSON, TierKind.CACHE}:
            same = [n for n, tier in draft.tiers.items() if tier["kind"] == kind.value]
            if len(same) == 1:
                return same[0]
    return None
