"""A brief while it is being gathered from sentences, with the words that each part came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from feasible.rubric.interview.amounts import Said
from feasible.rubric.interview.topics import Sentence
from feasible.schema import TierKind

__all__ = ["GAP", "Ask", "Draft", "Quote", "around", "components", "slug"]

_BOUNDARY: Final = re.compile(r"[,;:]\s|\.\s|\s+(?:and|but|so|while|then|or)\s+|\(|\)")
GAP: Final = re.compile(
    r"\b(?:(?:have not|haven't|never) (?:worked|used)|(?:don't|do not) know|not familiar|"
    r"have not measured|would not claim)\b",
    re.IGNORECASE,
)
"""Words that name a gap in one's knowledge."""
_STOP: Final = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "our",
        "my",
        "is",
        "are",
        "in",
        "on",
        "at",
        "to",
        "for",
        "and",
        "by",
        "with",
        "that",
        "this",
        "it",
        "its",
        "we",
        "i",
        "so",
        "as",
        "be",
        "we're",
        "about",
        "around",
        "roughly",
        "maybe",
        "say",
        "say,",
        "number",
        "goal",
        "metric",
        "business",
        "primary",
        "aim",
        "what",
        "main",
    ]
)


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The words that a part of the design was read from."""

    text: str
    line: int
    at_s: float | None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be read for sure: it is asked, and never guessed."""

    about: str
    """Path inside the brief, for example `envelope.latency`."""
    question: str
    quote: Quote


@dataclass(slots=True)
class Draft:
    """What has been read so far, as the plain tree of a brief.

    Attributes:
        goal: Fields of `goal`.
        metrics: Entries of `metrics`, by name.
        envelope: Entries of `envelope`, by kind and measure.
        traffic: Fields of `traffic`.
        labels: Fields of `labels`.
        layers: Fields of the layers, tiers apart.
        tiers: Fields of each tier, by name, in the order in which they were named.
        failures: Entries of `failures`.
        bottleneck: Fields of `bottleneck`.
        tradeoff: Fields of `tradeoff`.
        quotes: Path -> the words that it came from.
        asks: What has to be asked.
    """

    goal: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    envelope: dict[str, dict[str, Any]] = field(default_factory=dict)
    traffic: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    bottleneck: dict[str, Any] = field(default_factory=dict)
    tradeoff: dict[str, Any] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)

    def put(self, at: str, fields: dict[str, Any], key: str, value: Any, source: Sentence) -> None:
        """Keep a value unless an earlier sentence gave one: what was said first stands."""
        if value is not None and key not in fields:
            fields[key] = value
            self.quotes.setdefault(f"{at}.{key}" if at else key, quote_of(source))

    def ask(self, about: str, question: str, source: Sentence) -> None:
        """Note something to ask, once."""
        if about not in {ask.about for ask in self.asks}:
            self.asks.append(Ask(about=about, question=question, quote=quote_of(source)))

    def tier(self, name: str, kind: TierKind, source: Sentence) -> dict[str, Any]:
        """Give the fields of a tier, which is new when nothing was said of it yet."""
        if name not in self.tiers:
            self.tiers[name] = {"name": name, "kind": kind.value}
            self.quotes.setdefault(f"tiers.{name}", quote_of(source))
        return self.tiers[name]


def quote_of(source: Sentence) -> Quote:
    """Give a sentence as a quote."""
    return Quote(text=source.text, line=source.line, at_s=source.at_s)


def around(text: str, said: Said) -> str:
    """Give the thought that a number stands in: the words up to the next comma on either side."""
    return text[_bounds(text, said)[0] : _bounds(text, said)[1]]


def before(text: str, said: Said) -> str:
    """Give the words of the thought that stand before the number."""
    return text[_bounds(text, said)[0] : said.start]


def _bounds(text: str, said: Said) -> tuple[int, int]:
    starts = [found.end() for found in _BOUNDARY.finditer(text, 0, said.start)]
    ends = [found.start() for found in _BOUNDARY.finditer(text, said.end)]
    return (starts[-1] if starts else 0), (ends[0] if ends else len(text))


def slug(words: str, *, most: int = 4) -> str:
    """Give words as a name: the last few that mean something.

    Examples:
        >>> slug("the share of fraud caught"), slug("resolution minutes")
        ('share_fraud_caught', 'resolution_minutes')
    """
    kept = [w for w in re.findall(r"[a-z][a-z0-9-]*", words.lower()) if w not in _STOP]
    return "_".join(word.replace("-", "_") for word in kept[-most:])


_DENIED: Final = re.compile(
    r"\b(?:no|not|without|instead of|never)\s+(?:an?\s+|the\s+)?$", re.IGNORECASE
)
_Component = tuple[str, TierKind, int, int]
_KINDS: Final[tuple[tuple[TierKind, str], ...]] = (
    (TierKind.CACHE, r"(?:exact |semantic )?cach(?:e|ed|ing)\b(?: for [\w ]+)?"),
    (
        TierKind.PERSON,
        r"(?:a |the )?(?:persons?|people|(?:support |human )?agents?|reviewers?|nurses?|clerks?|"
        r"moderators?|humans?|human (?:review|check)|annotators?|staff|team|doctors?)\b",
    ),
    (
        TierKind.LLM,
        r"(?:(?:(?:large )?language model |llm )?overlay|llms?|(?:large |vision-)?language models?|"
        r"gpt[-\w.]*|chatgpt|claude|gemini|llama|"
        r"vendor|generative model)\b",
    ),
    (
        TierKind.RULES,
        r"(?:(?:\w+ )?rules?(?: engine)?|heuristics?|word list|(?:exact )?grammar|"
        r"lexical (?:retrieval|order|search)|templates?(?! change)|hash (?:bank|match)|popularity|"
        r"last good price|red-flag rules)\b",
    ),
    (
        TierKind.MODEL,
        r"(?:scorer|encoder|(?:re-?|cross-)?rankers?|cross-encoder|classifier|extractor|"
        r"(?:image |text )?embeddings?(?: (?:tier|fleet|model))?|"
        r"(?:\w+[- ])?boost(?:ed|ing) (?:trees?|model|forecast|scorer)|cloud tier|"
        r"(?:\w+[- ])?boost(?:ed|ing)|"
        r"(?:two-tower |\w+ )?retrieval(?: model)?|speech|summariser|gpus?|gpu pool|"
        r"(?:graph|feature|reputation) (?:store|service|feature lookups)|"
        r"(?:small|tiny|bigger|larger|online|span|intent|linear|text|code|daily|on-device|"
        r"distilled|deep|hosted|open)(?:[- ]\w+){0,2} models?|models?|"
        r"logistic regression|neural networks?|(?:distil\w*|small |tiny )?bert(?: variant)?)\b",
    ),
)
_COMPONENT: Final = tuple(
    (kind, re.compile(rf"\b{words}", re.IGNORECASE)) for kind, words in _KINDS
)


def components(text: str) -> Iterator[_Component]:
    """Give what can answer, or stands on the way to an answer, in the order of the words."""
    found: list[_Component] = []
    for kind, words in _COMPONENT:
        for hit in words.finditer(text):
            is_denied = _DENIED.search(text[: hit.start()])
            if not is_denied and not any(
                hit.start() < end and start < hit.end() for _, _, start, end in found
            ):
                found.append((_name(hit[0]), kind, hit.start(), hit.end()))
    yield from sorted(found, key=lambda item: item[2])


def _name(words: str) -> str:
    name = slug(words, most=3)
    name = re.sub(r"^(?:our|exact|human|support|red_flag)_", "", name)
    plural = name.endswith("s") and not name.endswith(("ss", "rules", "gpus"))
    return {"cached": "cache", "caching": "cache", "persons": "person", "people": "person"}.get(
        name.split("_for_")[0].split("_")[0] if name.startswith("cach") else name,
        name[:-1] if plural else name,
    )
