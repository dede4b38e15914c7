"""A debrief as plain text of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from feasible.rubric.interview.debrief import Debrief, Judged, Reference
from feasible.rubric.interview.draft import Quote
from feasible.rubric.spoken import clock_text

__all__ = ["debrief_text"]

_WIDTH: Final = 100
_LONGEST_QUOTE: Final = 180


def debrief_text(said: Debrief) -> str:
    """Give a debrief as plain text: points with their quotes, findings, an answer to compare."""
    lines = [f"{said.name}: {said.score} of 100, {said.verdict}"]
    lines += [f"  {cap}" for cap in said.caps]
    if said.last is not None:
        lines.append(f"  {said.last.score:+d} since the attempt before")
        lines += [f"    {name} {points:+d}" for name, points in said.last.criteria.items()]
    for judged in said.criteria:
        lines += ["", *_criterion(judged)]
    lines += ["", "findings" if said.findings else "findings: none"]
    for finding in said.findings:
        lines.append(f"  {finding.risk:<6}  {finding.id:<3}  {finding.where}")
        lines += [*_wrapped(f"why  {finding.why}", 10), *_wrapped(f"fix  {finding.fix}", 10)]
    if said.asks:
        lines += ["", "could not be read, and was not guessed"]
        lines += [line for ask in said.asks for line in _wrapped(f"{ask.about}: {ask.question}", 2)]
    if said.gap is not None:
        lines += ["", "a gap that you named and reasoned around, as one should", *_quote(said.gap)]
    if said.simulated:
        lines += ["", "your design, simulated from your own numbers (nothing was measured)"]
        lines += [f"  {line}" for line in said.simulated]
        lines += [line for told in said.assumed for line in _wrapped(f"assumed: {told}", 2)]
    if said.reference is not None:
        lines += ["", *_reference(said.reference)]
    return "\n".join(lines)


def _criterion(judged: Judged) -> Iterator[str]:
    points = "-" if judged.points is None else str(judged.points)
    yield f"{judged.id}  {points:>2} of {judged.max:>2}  {judged.title}"
    for quote in judged.quotes:
        yield from _quote(quote)
    for missing in judged.missing:
        yield from _wrapped(f"missing: {missing}", 4)


def _quote(quote: Quote) -> list[str]:
    at = "" if quote.at_s is None else f"{clock_text(quote.at_s)} "
    return _wrapped(f'{at}"{textwrap.shorten(quote.text, _LONGEST_QUOTE)}"', 4)


def _reference(reference: Reference) -> Iterator[str]:
    yield f"an answer to compare: the brief behind the prompt, {reference.score} of 100"
    yield from _wrapped(f"limits: {'; '.join(reference.limits)}", 2)
    yield from _wrapped(f"bottleneck: {reference.bottleneck}; {reference.fix}", 2)
    yield from _wrapped(f"trade-off: {reference.tradeoff}", 2)
    for line in reference.certificate:
        yield from _wrapped(f"certificate: {line}", 2)
    yield from _wrapped(f"simulated: {'; '.join(reference.simulated) or 'too few numbers'}", 2)


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text,
        width=_WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_on_hyphens=False,
    )
