"""What it is for: the goal, what answers are worth, and the metrics on the way, out of sentences."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from feasible.rubric.interview.amounts import Said, amounts
from feasible.rubric.interview.draft import Draft, around, slug
from feasible.rubric.interview.topics import Sentence, Topic
from feasible.rubric.lexicon import has_unit, is_model_metric

__all__ = ["read_goal", "read_metrics"]

_ABOUT_GOAL: Final = frozenset({Topic.OPEN, Topic.GOAL, Topic.METRICS, Topic.ENVELOPE})
_NOW: Final = re.compile(r"\b(?:today|now|currently|at present)\b", re.IGNORECASE)
_TARGET: Final = re.compile(r"\b(?:targets?|wants?|wanted|goal|to|aim|should be)\b", re.IGNORECASE)
_DECIDES: Final = re.compile(
    r"\bdecisions?(?:\s+is|\s*:|\s+are)|\bwe decide\b|\bdeciding\b|\bdecides?\b|\bthe order of\b",
    re.IGNORECASE,
)
_ACTOR: Final = re.compile(
    r"(?:\bwho acts:?\s+(?:the\s+)?(?P<who>[a-z]+(?: [a-z]+)?))"
    r"|(?:\b(?:the\s+|by\s+)?(?P<does>[a-z]+(?: desk| rep| queue| manager)?s?)\s+"
    r"(?:acts?\b|owns? it|own it|books\b|decides?\b|(?:is|are) (?:the actor|involved)|sees? it|"
    r"call(?:s)? leads|accepts? or\b|lets it))"
    r"|(?:\bthe (?P<is>[a-z]+) is the actor)"
    r"|(?P<act>\b[A-Z][a-z]+s?) (?:acts?|decides?)\b",
    re.IGNORECASE,
)
_WORTH: Final = re.compile(
    r"\b(?:worth|saves?|saved|earns?|gains?|value|stop(?:ped)?|good|right|completed|better|resolved|"
    r"deflected|catch)\b",
    re.IGNORECASE,
)
_HURTS: Final = re.compile(
    r"\b(?:wrong\w*|bad|miss(?:ed|es)?|false|misleading|late|errors?|declin\w+|loses?|lose|dead|"
    r"incorrect|taking down|wastes?|gets through|attention|no-show)\b",
    re.IGNORECASE,
)
_CHAIN: Final = re.compile(r"\bleads? to\b|\bi link\b|\bchain\b|\blinks? \w+", re.IGNORECASE)
_LINK: Final = re.compile(
    r",?\s*(?:and\s+)?(?:that\s+|this\s+|which\s+)?leads?\s+to\s+|,\s*(?:and\s+)?then\s+"
    r"|,\s*and\s+that\s+to\s+|\s+to\s+",
    re.IGNORECASE,
)
_HEAD: Final = re.compile(
    r"^.*?\b(?:chain\s*(?:is|:)|i link|metrics?:|the chain is)\s*", re.IGNORECASE
)
_GUARD: Final = re.compile(r"guardrails?", re.IGNORECASE)


def read_goal(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read the decision, its actor, the business metric and what answers are worth."""
    before_question = False
    for sentence in said:
        if sentence.topic not in _ABOUT_GOAL:
            continue
        text = sentence.text
        _move(draft, sentence)
        _values(draft, sentence)
        is_asked = text.endswith("?")
        if (_DECIDES.search(text) and not is_asked) or before_question:
            draft.put("goal", draft.goal, "decision", text, sentence)
        before_question = is_asked and "decid" in text.lower()
        actor = _ACTOR.search(text)
        if actor is not None:
            who = actor["who"] or actor["does"] or actor["is"] or actor["act"]
            if who.lower() not in {"we", "it", "that", "i", "they", "to", "this", "who"}:
                draft.put("goal", draft.goal, "actor", who, sentence)
        if sentence.topic is Topic.GOAL or "goal" in draft.goal:
            draft.put("goal", draft.goal, "statement", text, sentence)


def _move(draft: Draft, sentence: Sentence) -> None:
    """Read "42 minutes today, 15 as the target" and "from 34 % to 37 %"."""
    if sentence.topic is Topic.ENVELOPE or "now" in draft.goal or "target" in draft.goal:
        return
    numbers = [a for a in amounts(sentence.text) if a.kind != "multiple"]
    for first, second in pairwise(numbers):
        if not _moves(sentence.text, first, second):
            continue
        metric = _metric_before(sentence.text, first)
        unit = _unit_of(first if first.kind != "count" else second, sentence.text)
        name = metric if has_unit(metric) or not unit else f"{metric}_{unit}"
        draft.put("goal", draft.goal, "metric", name or None, sentence)
        draft.put("goal", draft.goal, "now", _bare(first), sentence)
        draft.put("goal", draft.goal, "target", _bare(second), sentence)
        return


def _moves(text: str, first: Said, second: Said) -> bool:
    between = text[first.end : second.start]
    after = text[second.end : second.end + 14]
    if re.fullmatch(r"\s*(?:to|,? (?:and )?down to|,? up to)\s*", between, re.IGNORECASE):
        return True
    is_now = bool(_NOW.search(between)) or bool(
        _NOW.search(text[max(0, first.start - 8) : first.start])
    )
    wants = bool(_TARGET.search(between)) or bool(
        re.search(r"target|wanted|goal", after, re.IGNORECASE)
    )
    return (is_now and (wants or between.strip(" ,").lower() in {"today", "now"})) or bool(
        re.search(r"\bwe want\b|\band (?:i|we) want\b|\btarget\b", between, re.IGNORECASE)
    )


def _metric_before(text: str, first: Said) -> str:
    words = re.sub(r"\b(?:today|now|currently|from|spend|is|are|was)\b", " ", text[: first.start])
    parts = re.split(r"[:?]\s|,\s(?=\w+\s*$)|\bsay\b|\bassume\b", words)
    kept = [part for part in parts if slug(part)]
    return slug(kept[-1], most=4) if kept else ""


def _unit_of(amount: Said, text: str) -> str:
    if amount.kind == "duration":
        return "minutes" if 60 <= amount.value < 86_400 else "seconds"
    if amount.kind in {"ratio", "usd"}:
        return {"ratio": "share", "usd": "usd"}[amount.kind]
    found = re.match(r"\s*(?:minutes?|hours?|days?|per \w+)", text[amount.end :])
    return slug(found[0]) if found else ""


def _bare(amount: Said) -> float:
    """Give the number as it was said: 42 minutes are 42, 31 % are 0.31."""
    digits = re.search(r"[\d,]*\.?\d+", amount.text)
    if amount.kind == "duration" and digits is not None:
        return float(digits[0].replace(",", ""))
    return amount.value


def _values(draft: Draft, sentence: Sentence) -> None:
    """Read what a right answer is worth and what a wrong one costs."""
    if sentence.topic is Topic.ENVELOPE:
        return
    for amount in amounts(sentence.text):
        if amount.kind != "usd" or amount.per_s is not None:
            continue
        words = around(sentence.text, amount)
        if re.search(
            r"\b(?:at most|under|below|per (?:query|decision|prediction))\b|<", words, re.IGNORECASE
        ):
            continue
        hurts = list(_HURTS.finditer(words))
        worth = list(_WORTH.finditer(words))
        lead = sentence.text[: amount.start]
        if not hurts and not worth:  # "and a wrong one, for example a wrong call, $0.20"
            hurts, worth = list(_HURTS.finditer(lead)), list(_WORTH.finditer(lead))
            last_hurts = hurts[-1].start() if hurts else -1
            last_worth = worth[-1].start() if worth else -1
            key = "error_usd" if last_hurts > last_worth else "value_usd"
            if last_hurts == last_worth:
                continue
        else:
            key = "error_usd" if hurts else "value_usd"
        draft.put("goal", draft.goal, key, amount.value, sentence)


def read_metrics(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read the chain of metrics up to the goal, and the guardrails."""
    for sentence in said:
        if sentence.topic not in _ABOUT_GOAL | {Topic.TRADEOFF}:
            continue
        if _GUARD.search(sentence.text):
            _guardrails(draft, sentence)
        elif _CHAIN.search(sentence.text) and not draft.metrics:
            _chain(draft, sentence)


def _chain(draft: Draft, sentence: Sentence) -> None:
    text = _HEAD.sub("", sentence.text)
    text = re.sub(
        r"^(?:so|and)?\s*(?:the\s+)?metric(?:s| chain)?\s*:\s*", "", text, flags=re.IGNORECASE
    )
    names = [slug(part, most=4) for part in _LINK.split(text) if slug(part)]
    names = list(dict.fromkeys(names))
    if len(names) < 2:
        return
    goal = draft.goal.get("metric")
    if goal is None:
        draft.put("goal", draft.goal, "metric", names[-1], sentence)
        goal = names[-1]
    if set(names[-1].split("_")) & set(goal.split("_")):
        names[-1] = goal
    for name, following in zip(names, [*names[1:], None], strict=True):
        if name == goal:
            continue
        kind = "model" if is_model_metric(name) else "product"
        draft.metrics.setdefault(name, {"name": name, "kind": kind, "leads_to": following})
    draft.put("", {}, "metrics", sentence.text, sentence)


def _guardrails(draft: Draft, sentence: Sentence) -> None:
    text = sentence.text[_GUARD.search(sentence.text).end() :]  # type: ignore[union-attr]
    numbers = amounts(text)
    lead = ""
    for part in re.split(r"[,;]\s+(?:and\s+)?|\s+and\s+", text):
        inside = [a for a in amounts(part) if a.kind in {"ratio", "count", "duration", "usd"}]
        words = re.sub(
            r"\b(?:is|stays?|below|under|at most|at least|above|not|than|no)\b.*$",
            "",
            re.sub(r"^\s*s?\s*(?:is|:|are)\s+", "", part),
        )
        name = slug(words, most=4) or lead or "guardrail"
        lead = "" if inside else name
        bound = (
            "at_least"
            if re.search(r"at least|above|not (?:below|lower)", part, re.IGNORECASE)
            else "at_most"
        )
        found: dict[str, object] = {"name": name, "kind": "guardrail"}
        if inside:
            found[bound] = inside[0].raw
        if inside or not numbers:
            draft.metrics.setdefault(name, found)
    draft.put("", {}, "guardrails", sentence.text, sentence)
