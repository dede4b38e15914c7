"""Where it hurts: the bottleneck and its fix, failures, and the deep tradeoff, out of sentences."""

from __future__ import annotations

import re
from typing import Any, Final

from feasible.rubric.interview.amounts import Said, amounts
from feasible.rubric.interview.draft import Draft, around, components, slug
from feasible.rubric.interview.layers import objectives_in, resolve
from feasible.rubric.interview.topics import Sentence, Topic
from feasible.units import MONTH_S

__all__ = ["read_bottleneck", "read_failures", "read_tradeoff"]

_FIRST: Final = re.compile(
    r"\bbottleneck\b|\bbreaks? first\b|\bgo(?:es)? (?:down )?first\b|\bfirst to break\b|\bi name\b"
    r"|\bis what (?:really )?decides\b|\breally is what\b|\bbiggest risk\b|\bworry about most\b",
    re.IGNORECASE,
)
_ANY: Final = re.compile(r"(?<!\?)$")  # any sentence that is no question
_UNSURE: Final = re.compile(
    r"\bit depends\b|\bmaybe\b|\bprobably\b|\bhard to say\b|\ball parts\b|\bor the\b|\bi think\b"
    r"|\bautoscal\w+|\bscales\b",
    re.IGNORECASE,
)
_FIX: Final = re.compile(
    r"\bfix\w*\b|\badd\w*\b|\bbuy\w*\b|\ba (?:second|third)\b|\bone more\b|\breplica|\braise\b|\boption\b"
    r"|\bcould\b|\btemplates?\b|\bquanti\w+|\bmore machines\b|\bcosts?\b"
    r"|\$|\bfree\b|\bnothing\b",
    re.IGNORECASE,
)
_SURELY_A_FIX: Final = re.compile(
    r"\bfix\w*\b|\badd(?:ing)?\b|\bbuy\w*\b|\boption\b|\bone more\b|\ba (?:second|third)\b",
    re.IGNORECASE,
)
_OTHER: Final = re.compile(
    r"\balternativ\w*|\boption (?:two|b|2)\b|\binstead\b|^or\b|\b(?:fix|option) (?:two|b|2)\b|\beither\b"
    r"|\bby contrast\b|\bhiring\b|\bwould be\b",
    re.IGNORECASE,
)
_NEXT: Final = re.compile(
    r"\bnext\b|\bafter (?:that|the)\b|\bwhat then breaks\b|\bare next\b|\bthen (?:the |it )",
    re.IGNORECASE,
)
_PROPERTY: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (name, re.compile(words, re.IGNORECASE))
    for name, words in (
        (
            "retrain.every",
            r"\bcadence\b|\bretrain\w*|\badaptation time\b|\bdaily (?:cycle|retrain)",
        ),
        ("labels.per_month", r"\blabels?\b|\bverified cases\b"),
        ("traffic.repeated", r"\bhit (?:ratio|rate)\b"),
    )
)
_TIER_PROPERTY: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (name, re.compile(words, re.IGNORECASE))
    for name, words in (
        ("reach", r"\bshare of\b|\bthe share\b|\breach\b|\bfewer\b"),
        ("usd", r"\bprice\b|\bcost is\b|\btokens? price"),
        (
            "capacity",
            r"\bcapacity\b|\bper second\b|\bsaturat\w+|\brate limit\b|\bquota\b|\bslots?\b|\bfleet\b"
            r"|\bpeak\b|\bagainst\b|\b[\d.]+ ?x\b|\btimes\b|\bper minute\b",
        ),
        ("latency_p95", r"\blatency\b|\bslow\w*\b|\bms\b"),
    )
)
_SEEN: Final = re.compile(
    r"\b(?:detect\w*|seen?|sees|notic\w+|alarm\w*|alerts?|monitor\w*|heartbeat|shows? it|rate|"
    r"watched|catches)\b",
    re.IGNORECASE,
)
_INSTEAD: Final = re.compile(
    r"\bfall(?:s|ing)? ?back\b|\bfallback\b|\binstead\b|\b(?:keeps?|stays?|answers?|goes?|go) (?:to|the)\b"
    r"|\bstill (?:answer|there)|\bwe show\b|\bshows?\b|\bfrozen\b|\broll(?:s|ed)? back\b|\buse\b"
    r"|\banswers\b|\bonly\b|\blast known\b|\bkeep the\b|\bstays?\b|\bgoes to\b|\bgo to\b|\bgets\b",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"^(?:and\s+)?(?:what\s+)?(?:if|when|about)?\s*(?:the|an?|one|your)?\s*(?P<what>[\w' -]{3,40}?)\s+"
    r"(?:falls?|fails?|is|are|dies?|stops?|goes?|down|outage|pushes|changes|appears)\b",
    re.IGNORECASE,
)
_TIGHT: Final = re.compile(
    r"\bbinding\b|\bnear\b|\bat the limit\b|\bleft\b|\bunder the\b|\bover the cap\b|\bcan afford\b",
    re.IGNORECASE,
)
_BOTH: Final = 2


def read_bottleneck(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read what is said to break first, at which load, and what mending it costs and buys."""
    about = [s for s in said if s.topic is Topic.BOTTLENECK]
    for wanted in (_FIRST, _ANY):
        for sentence in about:
            if "knob" not in draft.bottleneck and wanted.search(sentence.text):
                _name(draft, sentence)
    if "knob" not in draft.bottleneck:
        if about:
            draft.ask("bottleneck.knob", "which number of the design breaks first?", about[0])
        return
    tier = draft.bottleneck["knob"].split(".")[0]
    of_it = [s for s in about if resolve(draft, s.text) == tier]
    for sentence in [*of_it, *about]:
        if not _SURELY_A_FIX.search(sentence.text) and "$" not in sentence.text:
            _load(draft, sentence)
    _fixes(draft, about)


def _name(draft: Draft, sentence: Sentence) -> None:
    knob = _knob(draft, sentence.text)
    if knob is None or _is_vague(sentence.text):
        return
    draft.put("bottleneck", draft.bottleneck, "knob", knob, sentence)
    cited = objectives_in(sentence.text, draft)
    wanted = "throughput" if knob.endswith(".capacity") else None
    known = [key for key in draft.envelope if wanted is not None and wanted in draft.envelope[key]]
    objective = next(iter([*cited, *known]), None)
    draft.put("bottleneck", draft.bottleneck, "objective", objective, sentence)


def _is_vague(text: str) -> bool:
    """Claim that several parts are named at once, or none for sure."""
    named = {name for name, _, _, _ in components(text)}
    return bool(
        re.search(r"\bit depends\b|\bhard to say\b|\ball parts\b", text, re.IGNORECASE)
    ) or (bool(_UNSURE.search(text)) and len(named) > _BOTH and not amounts(text))


def _knob(draft: Draft, text: str) -> str | None:
    """Give the number of the design that words name, as a brief would call it."""
    head = re.split(r",?\s+(?:so|as|because|since|not|while|whereas)\b", text)[0]
    for knob, words in _PROPERTY:
        if words.search(head):
            return _of_labels(draft) if knob.startswith("labels") else knob
    tier = resolve(draft, head) or resolve(draft, text)
    if tier is None:
        return None
    for name, words in _TIER_PROPERTY:
        if words.search(text):
            return f"{tier}.{name}"
    has_room = "capacity" in draft.tiers[tier] or draft.tiers[tier]["kind"] == "person"
    return f"{tier}.capacity" if has_room else tier


def _of_labels(draft: Draft) -> str:
    of_class: dict[str, Any] = draft.labels.get("positives_per_month", {})
    return f"labels.positives_per_month.{next(iter(of_class))}" if of_class else "labels.per_month"


def _load(draft: Draft, sentence: Sentence) -> None:
    for amount in amounts(sentence.text):
        words = around(sentence.text, amount)
        if amount.kind == "multiple" and not re.search(r"\bneed|takes?\b", words, re.IGNORECASE):
            peak = bool(
                re.search(
                    r"\bpeak\b|\brush\b|\bsale\b|\bmonday\b|top of the hour",
                    sentence.text,
                    re.IGNORECASE,
                )
            )
            draft.put("bottleneck", draft.bottleneck, "at_load", amount.raw, sentence)
            draft.put("bottleneck", draft.bottleneck, "_of_peak", peak, sentence)


def _fixes(draft: Draft, about: list[Sentence]) -> None:
    fix: dict[str, Any] = {}
    at = draft.quotes["bottleneck.knob"].line
    for sentence in about:
        is_mend = _FIX if sentence.line > at else _SURELY_A_FIX
        if sentence.line < at or not is_mend.search(sentence.text):
            if sentence.line >= at and fix and _NEXT.search(sentence.text):
                draft.put("bottleneck.fix", fix, "breaks_next", sentence.text, sentence)
            continue
        if fix and _NEXT.search(sentence.text):
            draft.put("bottleneck.fix", fix, "breaks_next", _tail(sentence.text), sentence)
        for part in re.split(r";\s+|,\s+(?=or\b)", sentence.text):
            _fix(draft, fix, part, sentence)
    if fix:
        draft.bottleneck["fix"] = fix


def _fix(draft: Draft, fix: dict[str, Any], part: str, sentence: Sentence) -> None:
    prices = [a for a in amounts(part) if _is_price(a, part)]
    usd = next((a for a in prices if a.per_s is not None), prices[0] if prices else None)
    buys = _bought(part)
    if usd is None and buys is None and not ("change" not in fix and _FIX.search(part)):
        return
    is_new = "change" in fix and (
        ("usd_month" in fix and usd is not None) or bool(_OTHER.search(part))
    )
    if is_new:
        others = fix.setdefault("alternatives", [])
        if others and "usd_month" not in others[-1] and usd is not None and buys is None:
            others[-1]["usd_month"] = _a_month(usd)
            return
        other = {"change": part, "usd_month": _a_month(usd), "buys": buys}
        others.append({key: value for key, value in other.items() if value is not None})
        return
    if _NEXT.search(part) and "change" in fix:
        return
    draft.put("bottleneck.fix", fix, "change", part, sentence)
    draft.put("bottleneck.fix", fix, "usd_month", _a_month(usd), sentence)
    draft.put("bottleneck.fix", fix, "buys", buys, sentence)


def _is_price(amount: Said, part: str) -> bool:
    is_limit = re.search(r"\b(?:under|over|above|below) $", part[: amount.start], re.IGNORECASE)
    return amount.kind == "usd" and not is_limit and (amount.per_s is None or amount.per_s > 3600)


def _a_month(usd: Said | None) -> str | None:
    """Give a price for a month; what is paid once counts in the month in which it is paid."""
    if usd is None:
        return None
    return f"${usd.value * (1.0 if usd.per_s is None else MONTH_S / usd.per_s):.10g}"


def _bought(part: str) -> str | None:
    gains = [a for a in amounts(part) if a.kind == "multiple"]
    if gains:
        return gains[-1].raw
    moved = [a for a in amounts(part) if a.kind in {"duration", "ratio", "rate"}]
    gains_word = re.search(
        r"\b(?:from|to|gives?|brings?|buys?|halves|cuts?|saves?|moves)\b", part, re.IGNORECASE
    )
    return part.strip() if moved and gains_word else None


def _tail(text: str) -> str:
    found = _NEXT.search(text)
    return text if found is None else text[max(0, found.start() - 60) :]


def read_failures(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read what fails, what answers meanwhile and how soon it is seen, a question at a time."""
    by_question: dict[str, list[Sentence]] = {}
    for sentence in said:
        if sentence.topic is Topic.FAILURE:
            by_question.setdefault(sentence.asked, []).append(sentence)
    for asked, answers in by_question.items():
        failure: dict[str, Any] = {}
        text = " ".join(s.text for s in answers)
        part = resolve(draft, asked) or next((n for n, _, _, _ in components(asked)), None)
        subject = _SUBJECT.search(asked)
        part = part or (None if subject is None else slug(subject["what"], most=2)) or None
        before = _INSTEAD.split(text)[0]  # who answers instead is not what failed
        failure["component"] = part or resolve(draft, before) or "service"
        failure["trigger"] = asked or answers[0].text
        failure["effect"] = answers[0].text
        at = f"failures[{len(draft.failures)}]"
        for sentence in answers:
            for amount in amounts(sentence.text):
                words = sentence.text[max(0, amount.start - 45) : amount.end + 10]
                if amount.kind == "duration" and _SEEN.search(words):
                    draft.put(at, failure, "detected_in", amount.raw, sentence)
            if _INSTEAD.search(sentence.text):
                into = _INSTEAD.search(sentence.text)
                answer = None if into is None else resolve(draft, sentence.text[into.start() :])
                is_same = answer is not None and answer == part
                told = answer if answer is not None and not is_same else sentence.text
                draft.put(at, failure, "fallback", told, sentence)
        if "fallback" not in failure and re.search(r"\bretr(?:y|ies)\b", text, re.IGNORECASE):
            failure["effect"] = text
        if "fallback" in failure or "detected_in" in failure or amounts(text):
            draft.put(at, failure, "_at", True, answers[0])
            failure.pop("_at", None)
            draft.failures.append(failure)


def read_tradeoff(draft: Draft, said: tuple[Sentence, ...]) -> None:
    """Read the one deep tradeoff: both sides, their numbers, and the promise that it is about."""
    about = [s for s in said if s.topic is Topic.TRADEOFF]
    best = max(about, key=lambda s: (len(amounts(s.text)), -s.line), default=None)
    if best is None:
        return
    text = " ".join(s.text for s in about if s.turn == best.turn)
    sides = re.split(
        r"\bagainst\b|\bversus\b|\bvs\.?\b|\bbut\b|\band (?:costs?|adds?|takes?|raises|lifts)\b|\bgives?\b"
        r"|\bfor\b|\bwith\b|\bto have\b",
        text,
        maxsplit=1,
    )
    if len(sides) == _BOTH:
        draft.put("tradeoff", draft.tradeoff, "gave_up", sides[1].strip(), best)
        draft.put("tradeoff", draft.tradeoff, "got", sides[0].strip(), best)
    if len([a for a in amounts(text) if a.kind != "count"]) >= _BOTH:
        draft.put("tradeoff", draft.tradeoff, "number", text, best)
    tight = " ".join(s.text for s in about if s.turn == best.turn and _TIGHT.search(s.text))
    cited = objectives_in(tight, draft) or objectives_in(text, draft)
    draft.put("tradeoff", draft.tradeoff, "objective", cited[0] if cited else None, best)
