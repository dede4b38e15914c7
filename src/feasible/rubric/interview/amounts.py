"""Numbers with their units as people say them: "sub-200ms", "3 cents", "40 requests a second"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from feasible.units import DAY_S, MONTH_S

__all__ = ["NUMBER", "Said", "amounts", "percentile"]

_PERIODS: Final[dict[str, float]] = {
    "ms": 1e-3,
    "millisecond": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": DAY_S,
    "day": DAY_S,
    "night": DAY_S,
    "week": 7 * DAY_S,
    "month": MONTH_S,
    "quarter": 3 * MONTH_S,
    "year": 12 * MONTH_S,
}
_WORDS: Final = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100}
_SCALES: Final = {"k": 1e3, "thousand": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9}

_PERIOD: Final = (
    r"(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|hours?|h|days?|d|nights?|weeks?|months?|"
    r"quarters?|years?)"
)
NUMBER: Final = rf"(?:\d+(?:,\d{{3}})*(?:\.\d+)?|\.\d+|\b(?:{'|'.join(_WORDS)})\b)"
_AMOUNT: Final = re.compile(
    rf"(?<![\w.])(?P<usd>[$€]\s?)?(?P<number>{NUMBER})"
    r"(?:\s?(?P<scale>k|thousand|million|billion|bn|[mM](?=[\s,.]|$))(?![a-z]))?"
    rf"(?:\s?(?:to|\.\.|-)\s?[$€]?(?P<high>{NUMBER}))?"
    r"(?P<tail>"
    r"\s?(?P<percent>%|percent\b|per cent\b)"
    r"|\s?(?P<cents>cents?|¢)"
    r"|\s?(?P<usd_word>dollars?)\b"
    r"|\s?(?P<multiple>x|times(?!\s+\d|\s+the (?:load )?limit)|fold)(?![\w])"
    r"|[\s-]?(?P<bytes>kB|KB|MB|GB)\b"
    rf"|[\s-]?(?P<period>{_PERIOD})\b(?!\s+(?:replicas?|workers?|box|boxes|tier|one)\b)"
    r")?",
    re.IGNORECASE,
)
_PER: Final = re.compile(
    r"\s*(?:(?P<noun>(?:[a-z][\w-]*\s+){0,3}?)(?:per|an?|each|every)\s+|(?P<slash>/)\s*)"
    rf"(?P<period>{_PERIOD})\b",
    re.IGNORECASE,
)
_PERCENTILE: Final = re.compile(
    r"\bp(?P<p>\d{2}(?:\.\d+)?)\b|\b(?P<th>\d{2}(?:\.\d+)?)(?:th|st|nd)[- ]percentile"
    r"|\b(?P<median>median)\b|\b(?P<mean>mean|average|avg)\b",
    re.IGNORECASE,
)
_DOUBLES: Final = re.compile(
    r"\b(?:(?P<two>doubl(?:es?|ed|ing)|twice)|(?P<three>triples?|tripling))\b", re.IGNORECASE
)
_FREE: Final = re.compile(
    r"\b(?:costs? (?:me |us |it )?nothing|(?:for|is) free|at no cost|costs? no \w+)\b|\bfree:",
    re.IGNORECASE,
)


_HALF: Final = re.compile(r"\b(?:about |takes |roughly )?half\b(?! the time| a )", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """One number as it was said.

    Attributes:
        kind: duration, usd, ratio, rate, multiple, bytes or count.
        value: In base units: seconds, dollars, 0 to 1, per second, a multiple, bytes, a number.
        start: Where it begins in the sentence.
        end: Where it ends.
        text: The words.
        per_s: Of dollars: the period that they are for, in seconds; None when for one thing.
    """

    kind: str
    value: float
    start: int
    end: int
    text: str
    per_s: float | None = None

    @property
    def raw(self) -> str:
        """Give it as a brief would write it."""
        if self.kind == "duration":
            return _duration(self.value)
        if self.kind == "usd":
            return f"${_plain(self.value)}"
        if self.kind == "ratio":
            return f"{_plain(self.value * 100)} %"
        if self.kind == "rate":
            return f"{_plain(self.value)} / s" if self.value >= 0.01 else self._slow()
        return {"multiple": f"{_plain(self.value)}x", "bytes": f"{_plain(self.value)} B"}.get(
            self.kind, _plain(self.value)
        )

    def _slow(self) -> str:
        return f"{_plain(self.value * DAY_S)} / d"


def amounts(sentence: str) -> tuple[Said, ...]:
    """Give every number of a sentence with what it counts, in the order of the words.

    Examples:
        >>> [(a.kind, a.raw) for a in amounts("sub-200ms, 3 cents each, 40 requests per second")]
        [('duration', '200 ms'), ('usd', '$0.03'), ('rate', '40 / s')]
    """
    out = []
    for found in _AMOUNT.finditer(sentence):
        said = _said(sentence, found)
        if said is not None:
            out.append(said)
    out += [
        Said("multiple", 2.0 if f["two"] else 3.0, f.start(), f.end(), f[0])
        for f in _DOUBLES.finditer(sentence)
    ]
    out += [Said("usd", 0.0, f.start(), f.end(), f[0]) for f in _FREE.finditer(sentence)]
    out += [Said("ratio", 0.5, f.start(), f.end(), f[0]) for f in _HALF.finditer(sentence)]
    return tuple(sorted(out, key=lambda said: said.start))


def percentile(words: str) -> str | None:
    """Give the measure of a latency that words name, as a brief writes it; None when they do not.

    Examples:
        >>> percentile("p99 of a page"), percentile("the median"), percentile("fast")
        ('p99', 'p50', None)
    """
    found = _PERCENTILE.search(words)
    if found is None:
        return None
    if found["mean"]:
        return "mean"
    return "p50" if found["median"] else f"p{found['p'] or found['th']}"


def _said(sentence: str, found: re.Match[str]) -> Said | None:
    before = sentence[: found.start()]
    is_name = before.endswith("-") and not re.search(r"\b(?:sub|pre|post)-$", before, re.IGNORECASE)
    if is_name or re.search(r"\b(?:top|p|v|phase|tier|stage|step|part)\s?$", before, re.IGNORECASE):
        return None
    if sentence[found.end() : found.end() + 1].isalnum():  # a name such as int8 or 2x4
        return None
    value = _value(found["number"]) * _SCALES.get((found["scale"] or "").lower(), 1.0)
    if found["high"]:
        value = (value * _value(found["high"])) ** 0.5
    start, end, text = found.start(), found.end(), found[0]
    if found["usd"] or found["usd_word"] or found["cents"]:
        usd = value * (0.01 if found["cents"] else 1.0)
        per = _PER.match(sentence, end)
        per_s = None if per is None or (per["noun"] or "").strip() else _period(per["period"])
        end = end if per_s is None or per is None else per.end()
        return Said("usd", usd, start, end, sentence[start:end], per_s)
    if found["percent"]:
        return Said("ratio", value / 100, start, end, text)
    if found["multiple"]:
        return Said("multiple", value, start, end, text)
    if found["bytes"]:
        size = {"kb": 1e3, "mb": 1e6, "gb": 1e9}[found["bytes"].lower()]
        return Said("bytes", value * size, start, end, text)
    if found["period"]:
        return Said("duration", value * _period(found["period"]), start, end, text)
    per = _PER.match(sentence, end)
    if per is not None:
        rate = value / _period(per["period"])
        return Said("rate", rate, start, per.end(), sentence[start : per.end()])
    return Said("count", value, start, end, text)


def _value(text: str) -> float:
    word = _WORDS.get(text.lower())
    return float(Decimal(text.replace(",", "")) if word is None else word)


def _period(text: str) -> float:
    name = text.lower()
    return _PERIODS[name] if name in _PERIODS else _PERIODS[name.rstrip("s")]


def _duration(seconds: float) -> str:
    for unit, size in (("d", DAY_S), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size:
            return f"{_plain(round(seconds / size, 6))} {unit}"
    return f"{_plain(round(seconds * 1e3, 6))} ms"


def _plain(value: float) -> str:
    """Write a number without an exponent and without the dust of binary arithmetic."""
    return f"{Decimal(f'{value:.10g}'):f}"
