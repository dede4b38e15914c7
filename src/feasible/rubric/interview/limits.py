"""What is promised: limits, traffic and labels, out of sentences."""

from __future__ import annotations

import re
from typing import Any, Final

from feasible.rubric.interview.amounts import Said, amounts, percentile
from feasible.rubric.interview.draft import Draft, around, before, components, quote_of, slug
from feasible.rubric.interview.topics import Sentence, Topic
from feasible.units import MONTH_S

__all__ = ["read_labels", "read_limits", "read_traffic"]

_TRAFFIC_MONTH: Final = 1e5  # events a month from which a rate is traffic and no supply of labels
_DECIDES: Final = 5.0  # dollars a decision above which a sum is no price of an answer
_EARLY: Final = frozenset({Topic.OPEN, Topic.GOAL, Topic.ENVELOPE})
_LIMIT: Final = re.compile(
    r"\b(?:at most|under|below|less than|no more than|not? (?:older|staler|later|longer)|at least|"
    r"above|must|needs?|within|cap(?:ped)?|limits?|floor|sla|sub-?|require\w*|has to|up to|"
    r"is (?:ok|fine|key)|accept|i(?:'d| would)? (?:want|like)|we(?:'d| would)? (?:want|like))\b"
    r"|[<>≤≥]",
    re.IGNORECASE,
)
_FRESH: Final = re.compile(
    r"\b(?:fresh\w*|stale\w*|older|old|age|(?:live|visible|updated?|updates) (?:within|in|of))\b"
    r"|\blive (?:within|in)\b|\bupdates? (?:in|within)\b",
    re.IGNORECASE,
)
_LEARNS: Final = re.compile(
    r"\b(?:new|adapt\w*|learn\w*|learnt|react\w*|shift|emerg\w+|blocked|covered|slang)\b",
    re.IGNORECASE,
)
_SHIPS: Final = re.compile(r"\b(?:ship|launch|first version|deliver\w*|mvp)\b", re.IGNORECASE)
_LATE: Final = re.compile(
    r"\blabels?\b|\bconfirm\w*\b|\bknown (?:after|in)\b|\bchargebacks?\b", re.IGNORECASE
)
_SPEED: Final = re.compile(
    r"\b(?:latency|respon\w+|answers?|inference|reply|replies|ready|token|page|action|fast|"
    r"per page|batch|interactive|real-time|second)\b",
    re.IGNORECASE,
)
_PEAK: Final = re.compile(
    r"\b(?:peak\w*|bursts?|burst\w*|rush|sale|black friday|top of the hour|month end|weekends?|"
    r"evenings?|mondays?|mornings?|storm|spikes?|hold)\b",
    re.IGNORECASE,
)
_MEAN: Final = re.compile(r"\b(?:mean|average|normally|usual)\b", re.IGNORECASE)
_OWN_QUALITY: Final = re.compile(
    r"(?P<name>(?:[a-z]+ ){0,2}(?:accuracy|recall(?: at \d+)?|precision|f1|share|success|"
    r"completion|acceptance|mape|mae|error|ndcg|auc|correct[\w ]*|omission|quality|rate))\b",
    re.IGNORECASE,
)
_OF: Final = re.compile(
    r"\b(?:recall|precision|omission|f1)\s+(?:of|for)\s+(?!at\b|\d|about)(?P<of>[a-z][\w-]*)",
    re.IGNORECASE,
)
_ON: Final = re.compile(
    r"\b(?:on|for|in|of)\s+(?:the\s+|good\s+)?(?P<on>(?!at\b|a\b|total|average|people|seconds?\b)"
    r"[a-z][\w-]*(?: (?!at\b|of\b|within|for\b)[a-z0-9][\w-]*){0,2})",
    re.IGNORECASE,
)
_AT_MOST: Final = re.compile(
    r"\b(?:at most|under|below|less than|no more than|not above|up to|<)|[<≤]|(?:mape|mae|error|"
    r"omission)",
    re.IGNORECASE,
)


def read_limits(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read the promised numbers; the first statement of each stands."""
    for sentence in said:
        if sentence.topic not in _EARLY | {Topic.METRICS} or _is_guardrail(sentence):
            continue
        for amount in amounts(sentence.text):
            words = around(sentence.text, amount)
            if sentence.topic is not Topic.ENVELOPE and _is_about_a_part(words):
                continue
            found = _objective(amount, words, sentence, draft)
            if found is not None:
                key = "_".join(
                    str(found[k]) for k in sorted(found) if k not in {"at_most", "at_least"}
                )
                is_same = {next(iter(o)) for o in draft.envelope.values()} & {next(iter(found))}
                if key not in draft.envelope and not (is_same and found.get("latency") == "mean"):
                    draft.envelope[key] = found
                    draft.quotes.setdefault(f"envelope.{key}", quote_of(sentence))


def _is_guardrail(sentence: Sentence) -> bool:
    return sentence.topic is Topic.METRICS and bool(
        re.search(r"guardrail", sentence.text, re.IGNORECASE)
    )


def _is_about_a_part(words: str) -> bool:
    """Claim that a number is about one component, or about what money buys."""
    return any(components(words)) and not _LIMIT.search(words)


def _objective(amount: Said, words: str, sentence: Sentence, draft: Draft) -> dict[str, Any] | None:
    is_stated = sentence.topic is Topic.ENVELOPE or bool(_LIMIT.search(sentence.text))
    if amount.kind == "duration":
        return _time(amount, words, sentence, draft, is_stated=is_stated)
    if amount.kind == "usd":
        return _money(amount, words, sentence, is_stated=is_stated)
    if amount.kind == "ratio" and is_stated:
        return _quality(amount, words, sentence, draft)
    if amount.kind == "bytes" and is_stated:
        return {"footprint": "bundle", "at_most": amount.raw}
    if amount.kind == "rate" and re.search(r"\bpeople\b|\breviews?\b", words, re.IGNORECASE):
        return {"people": "reviews", "at_most": amount.raw}
    return None


def _time(
    amount: Said, words: str, sentence: Sentence, draft: Draft, *, is_stated: bool
) -> dict[str, Any] | None:
    if _LATE.search(words) or re.search(r"\b(?:ago|last|every)\b", words, re.IGNORECASE):
        return None
    if _FRESH.search(words) and is_stated:
        return {
            "freshness": slug(before(sentence.text, amount), most=2) or "data",
            "at_most": amount.raw,
        }
    if _LEARNS.search(words) and is_stated:
        return {"adaptation": "new_pattern", "at_most": amount.raw}
    measure = percentile(words)
    if measure is None and amount.value >= 60 and not _SPEED.search(words):
        is_delivery = _SHIPS.search(words) and sentence.topic is Topic.ENVELOPE
        return {"delivery": "first_version", "at_most": amount.raw} if is_delivery else None
    if measure is not None and (is_stated or sentence.topic in _EARLY):
        return {"latency": measure, "at_most": amount.raw}
    if is_stated and (_SPEED.search(words) or sentence.topic is Topic.ENVELOPE):
        draft.ask("envelope.latency", f"which percentile may be at most {amount.raw}?", sentence)
        return {"latency": "mean", "at_most": amount.raw}
    return None


def _money(
    amount: Said, words: str, sentence: Sentence, *, is_stated: bool
) -> dict[str, Any] | None:
    if amount.per_s is not None:
        is_budget = is_stated and re.search(r"budget|at most|cap", words, re.IGNORECASE)
        period = "day" if amount.per_s <= 86_400 else "month"
        return {"cost": period, "at_most": amount.raw} if is_budget else None
    is_each = re.match(r"\s*(?:per|a|each|an)\s+[a-z]", sentence.text[amount.end :], re.IGNORECASE)
    is_worth = re.search(
        r"\b(?:worth|saves?|wrong|lose|loses|earns?|value|wastes?)\b", words, re.IGNORECASE
    )
    if is_worth or amount.value > _DECIDES or amount.value <= 0:
        return None
    if is_each and (is_stated or sentence.topic is Topic.OPEN):
        return {"cost": "mean", "at_most": amount.raw}
    return {"cost": "mean", "at_most": amount.raw} if sentence.topic is Topic.ENVELOPE else None


def _quality(amount: Said, words: str, sentence: Sentence, draft: Draft) -> dict[str, Any] | None:
    named = _OWN_QUALITY.search(words)
    if named is None:
        return None
    name = slug(named["name"], most=2)
    base = next((n for n in ("recall", "precision", "accuracy") if n in name), None)
    bound = "at_most" if _AT_MOST.search(words) else "at_least"
    found: dict[str, Any] = {"quality": base or name}
    rest = re.sub(r"\bof (?:at (?:least|most) )?[\d.]", "", words)
    of, on = _OF.search(words), None
    for hit in _ON.finditer(rest[named.end() - named.start() :] if of is None else rest):
        on = slug(hit["on"], most=3)
    if of is not None and base in {"recall", "precision"}:
        found["of"] = slug(of["of"])
    if on and on != found.get("of"):
        found["on"] = on
    if base == "recall" and not (of or on):
        draft.ask("envelope.recall", "recall of which class, or on which slice?", sentence)
    return found | {bound: amount.raw}


def _near(text: str, amount: Said) -> str:
    """Give the words of the thought that are nearer to this number than to another one."""
    others = [a for a in amounts(text) if a.start != amount.start]
    low = max([a.end for a in others if a.end <= amount.start], default=0)
    high = min([a.start for a in others if a.start >= amount.end], default=len(text))
    thought = around(text, amount)
    at = text.find(thought, max(0, amount.start - len(thought)))
    return text[max(low, at) : min(high, at + len(thought))]


def read_traffic(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read how much is asked and how unevenly."""
    for sentence in said:
        if sentence.topic not in _EARLY:
            continue
        for amount in amounts(sentence.text):
            words = _near(sentence.text, amount)
            if any(components(words)) or _LATE.search(words):
                continue
            is_peak = bool(_PEAK.search(words))
            is_rate = amount.kind == "rate" and amount.value * MONTH_S > _TRAFFIC_MONTH
            if is_rate or (amount.kind == "count" and is_peak and "rate" in draft.traffic):
                if is_peak:
                    draft.put("traffic", draft.traffic, "_top", amount.value, sentence)
                else:
                    draft.put("traffic", draft.traffic, "rate", amount.raw, sentence)
            elif amount.kind == "count" and "_top" in draft.traffic and _MEAN.search(words):
                draft.put("traffic", draft.traffic, "rate", f"{amount.value:.10g} / s", sentence)
            elif amount.kind == "multiple" and (is_peak or "rate" in draft.traffic):
                draft.put("traffic", draft.traffic, "peak", amount.raw, sentence)


_LABEL: Final = re.compile(
    r"\blabel\w*\b|\bconfirm\w*\b|\bverified\b|\bhuman[- ]made\b|\bhand-made\b|\bcases?\b"
    r"|\brelevance\b|\bknown (?:after|in)\b|\bdecisions\b",
    re.IGNORECASE,
)
_DELAY: Final = re.compile(
    r"\b(?:late\w*|delay\w*|after|known|takes?|later|to confirm|old)\b", re.IGNORECASE
)
_NOT_A_CLASS: Final = frozenset(
    ["label", "case", "pair", "decision", "relevance", "example", "it", "them"]
)


def read_labels(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read when the truth becomes known, how much of it, and at what price."""
    for sentence in said:
        if not _LABEL.search(sentence.text) or sentence.topic is Topic.FAILURE:
            continue
        labels = draft.labels
        for amount in amounts(sentence.text):
            words = around(sentence.text, amount)
            near = sentence.text[max(0, amount.start - 40) : amount.end + 30]
            if amount.kind == "duration" and _DELAY.search(near) and amount.value >= 60:
                draft.put("labels", labels, "arrive_after", amount.raw, sentence)
            elif amount.kind == "rate" and amount.value < 1:
                _label_rate(draft, amount, sentence)
            elif amount.kind == "usd" and amount.per_s is None and amount.value < 100:
                if re.search(r"label|each|at \$|price|free|nothing", near, re.IGNORECASE):
                    draft.put("labels", labels, "usd_each", amount.value, sentence)
            elif amount.kind == "count" and re.search(
                r"verified|human|case|label", words, re.IGNORECASE
            ):
                draft.put("labels", labels, "_count", amount.value, sentence)


def _label_rate(draft: Draft, amount: Said, sentence: Sentence) -> None:
    """Keep a rate of labels: of a class when the words name one, of all otherwise."""
    count = round(amount.value * MONTH_S)
    noun = re.sub(r"^[\d,.$\s]+", "", amount.text)
    noun = re.sub(r"\s*(?:\b(?:per|an?|each|every)\b|/).*$", "", noun).strip()
    name = slug(noun, most=2).removesuffix("s")
    if not name or any(word in name for word in _NOT_A_CLASS):
        draft.put("labels", draft.labels, "per_month", count, sentence)
    else:
        of_class = draft.labels.setdefault("positives_per_month", {})
        draft.put("labels.positives_per_month", of_class, name, count, sentence)
