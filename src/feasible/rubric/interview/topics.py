"""Sentences, and what each of them is about: by its own words, else by the question before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from feasible.rubric.interview.transcript import Transcript, Turn

__all__ = ["Sentence", "Topic", "clauses", "sentences"]


class Topic(StrEnum):
    """What a sentence is about: the sections of a brief."""

    GOAL = "goal"
    METRICS = "metrics"
    ENVELOPE = "envelope"
    DATA = "data"
    FEATURES = "features"
    TIERS = "tiers"
    SERVING = "serving"
    FEEDBACK = "feedback"
    BOTTLENECK = "bottleneck"
    FAILURE = "failure"
    TRADEOFF = "tradeoff"
    OPEN = "open"
    """Nothing says what it is about."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence with its place.

    Attributes:
        text: The words.
        topic: What it is about.
        at_s: When it was said; None in a document.
        line: Line of the file.
        turn: Index of its turn.
        asked: The last thing that the interviewer said, or the heading above; empty when none.
    """

    text: str
    topic: Topic
    at_s: float | None
    line: int
    turn: int
    asked: str


_LEAD: Final = (
    r"^(?:(?:so|and|now|then|next|first|well|ok|hmm|right|second|third)[,:]?\s+|i'd say\s+)*"
)
_SECTION: Final = re.compile(
    r"^(?:five\s+|the\s+)?(?:layers|architecture|components|high[- ]level design)\s*[:,]\s*"
    r"(?:cheapest first[.:]?\s*)?",
    re.IGNORECASE,
)
_LABELS: Final[tuple[tuple[Topic, str], ...]] = (
    # A label at the head of a sentence: "Data: ...", "Serving layer: ...", "The fix is ...".
    (
        Topic.ENVELOPE,
        r"(?:the\s+|my\s+|for\s+|operational\s+|hard\s+)*"
        r"(?:constraints?|limits?|envelope|slas?|promise|budget)\b"
        r"[^.:]{0,30}(?::|first|are\b)",
    ),
    (
        Topic.METRICS,
        r"(?:as\s+(?:a\s+)?)?guardrails?\b|(?:success\s+)?metrics?\b(?!:\s*\w+ (?:per|of))",
    ),
    (
        Topic.DATA,
        r"(?:the\s+)?(?:data|labels?)(?:\s+(?:layer|sourcing))?\s*(?::|\bis\b|\bare\b|from\b)",
    ),
    (
        Topic.FEATURES,
        r"(?:the\s+)?features?(?:\s+(?:layer|store|engineering))?\b\s*(?::|is\b|are\b|of\b|only)",
    ),
    (Topic.TIERS, r"(?:the\s+)?(?:tiers?|models?)(?:\s+(?:layer|selection))?\b[^.:]{0,30}:"),
    (Topic.SERVING, r"(?:the\s+)?serving\b"),
    (Topic.FEEDBACK, r"(?:the\s+)?(?:feedback|monitoring|drift)\b"),
    (Topic.BOTTLENECK, r"(?:the\s+)?(?:bottleneck|break(?:ing)? point|which breaks)\b"),
    (Topic.BOTTLENECK, r"(?:the\s+)?(?:fix|option|alternative)s?\b"),
    (
        Topic.TRADEOFF,
        r"(?:the\s+|a\s+|my\s+|one\s+|deep\s+|main\s+|and there is the\s+)*"
        r"(?:trade-?\s?offs?|deep dive)\b",
    ),
)
_LABEL: Final = tuple((topic, re.compile(_LEAD + words, re.IGNORECASE)) for topic, words in _LABELS)
_WORDS: Final[tuple[tuple[Topic, re.Pattern[str]], ...]] = tuple(
    (topic, re.compile(words, re.IGNORECASE))
    for topic, words in (
        (Topic.TRADEOFF, r"\btrade-?\s?offs?\b|\bdeep dive\b"),
        (
            Topic.BOTTLENECK,
            r"\bbottleneck\b|\bbreaks? first\b|\bgo(?:es)? first\b|\bfirst to break\b"
            r"|\bfix(?:es)? it\b|\bbiggest (?:risk|worry)\b|\bworry about most\b|\bweakest\b",
        ),
        (Topic.METRICS, r"\bguardrails?\b|\bleads? to\b|\bi link\b"),
        (
            Topic.GOAL,
            r"\b(?:the|our|my) (?:goal|aim|business (?:number|metric|goal))\b|\bgoal (?:is|in)\b"
            r"|\bprimary metric\b|\bis worth\b|\bcosts? us\b|\bwhat (?:should|are we) \w+ing?\b",
        ),
    )
)
_QUESTIONS: Final[tuple[tuple[Topic, re.Pattern[str]], ...]] = tuple(
    (topic, re.compile(words, re.IGNORECASE))
    for topic, words in (
        (
            Topic.BOTTLENECK,
            r"bottleneck|break|limit(?:s|ing)\b|weakest|goes? down first|fails? first|gives first"
            r"|binding|ten times|10x|by five|what gives|capacity|alternatives?|to fix|fix\b"
            r"|what would you do|^so\?|most expensive",
        ),
        (
            Topic.FAILURE,
            r"\bdown\b|\bdies\b|\bfails?\b|outage|\bstops?\b|go(?:es)? wrong|falls? behind|silently"
            r"|goes wild|bad \w+\.$|what (?:if|when)|failures?\b|risks?\b",
        ),
        (Topic.TRADEOFF, r"trade-?\s?offs?|deep dive"),
        (
            Topic.ENVELOPE,
            r"constraints?|requirements?|envelope|limits\b|how fast|what does .* cost\b",
        ),
        (Topic.GOAL, r"\bgoal|worth|at stake|measure success|objective"),
        (Topic.METRICS, r"metrics?|know that it works"),
        (Topic.DATA, r"labels?|\bdata\b"),
        (Topic.FEATURES, r"\bfeatures?\b"),
        (Topic.TIERS, r"\btiers?\b|models?\b|architecture"),
        (Topic.SERVING, r"\bserving\b"),
        (Topic.FEEDBACK, r"feedback|drift|retrain"),
    )
)
_SPLIT: Final = re.compile(r"(?<=[.!?;])\s+(?=[\"'“(]?[A-Z0-9$<])")
_CLAUSE: Final = re.compile(r"(?:[,;:]\s+|\s+(?:but|while|whereas|then|and)\s+)")


def sentences(transcript: Transcript) -> tuple[Sentence, ...]:
    """Give every sentence that was not the interviewer's, with what it is about."""
    out: list[Sentence] = []
    asked, topic = "", Topic.OPEN
    for index, turn in enumerate(transcript.turns):
        if turn.asks:
            asked = turn.text
            continue
        if _is_answer(transcript.turns, index):
            topic = _asked_about(asked)
        elif (
            topic is not Topic.BOTTLENECK
        ):  # what breaks and its mend are one thought in two breaths
            topic = Topic.OPEN
        for text in _split(turn.text):
            topic = _about(text, otherwise=topic)
            out.append(Sentence(text, topic, turn.at_s, turn.line, index, asked))
    return tuple(out)


def clauses(text: str) -> tuple[str, ...]:
    """Split a sentence where one thought ends and the next one begins."""
    return tuple(part for part in _CLAUSE.split(text) if part.strip())


def _split(text: str) -> tuple[str, ...]:
    return tuple(_SECTION.sub("", part).strip() for part in _SPLIT.split(text) if part.strip())


def _is_answer(turns: tuple[Turn, ...], index: int) -> bool:
    """Claim that a turn stands right behind a question."""
    return index > 0 and turns[index - 1].asks


def _asked_about(question: str) -> Topic:
    for topic, words in _QUESTIONS:
        if words.search(question):
            return topic
    return Topic.OPEN


def _about(text: str, *, otherwise: Topic) -> Topic:
    for topic, words in _LABEL:
        if words.search(text):
            return topic
    for topic, words in _WORDS:
        if words.search(text):
            return topic
    return otherwise
