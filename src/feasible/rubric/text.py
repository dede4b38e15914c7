"""A review as plain text, for a terminal, and as Markdown, for a pull request."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from feasible.rubric.milestone import Progress
from feasible.rubric.records import BottleneckGuess, Criterion, Finding, HeadroomGuess, Review, Risk

__all__ = ["progress_text", "review_markdown", "review_text"]

_WIDTH: Final = 100
_WHOLE: Final = 100


def review_text(review: Review) -> str:
    """Give a review as plain text of at most 100 columns."""
    lines = [f"{review.name}: {review.verdict}", f"  {_total(review)}"]
    lines += [*(f"  {cap}" for cap in review.caps), "", _counted(review)]
    for finding in _open_first(review):
        mark = "waived" if finding.waived is not None else finding.risk
        lines.append(f"  {mark:<6}  {finding.id:<3}  {finding.where}")
        lines += _wrapped(finding.why, label="why")
        lines += _wrapped(finding.fix, label="fix")
        lines += _wrapped(finding.buys, label="buys")
        if finding.waived is not None:
            lines += _wrapped(f"{finding.waived} ({finding.risk})", label="but")
    lines += [f"  lens {lens}" for lens in review.lenses]
    lines += ["", "criteria"]
    for criterion in review.criteria:
        lines.append(f"  {criterion.id}  {_points(criterion):>8}  {criterion.title}")
        for said in criterion.evidence:
            lines += _wrapped(said, label="")
    lines += ["", *_bottleneck_text(review.bottleneck)]
    return "\n".join(lines)


def review_markdown(review: Review) -> str:
    """Give a review as Markdown: a bold sentence, the findings, the points, the bottleneck."""
    lines = [
        f"**{review.name}: {review.verdict}.** {'; '.join([_total(review), *review.caps])}.",
        "",
    ]
    if review.findings:
        lines += ["| risk | id | where | why | fix | buys |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {f.risk if f.waived is None else f'{f.risk}, waived'} | {f.id} | {f.where} "
            f"| {_cell(f.why)}{'' if f.waived is None else _cell(f' Waived: {f.waived}')} "
            f"| {_cell(f.fix)} | {_cell(f.buys)} |"
            for f in _open_first(review)
        ]
    else:
        lines.append("No findings.")
    lines += ["", "| criterion | points | evidence |", "|---|---|---|"]
    lines += [
        f"| {c.id} {c.title} | {_points(c)} | {_cell('; '.join(c.evidence))} |"
        for c in review.criteria
    ]
    lines += ["", *_bottleneck_markdown(review.bottleneck)]
    return "\n".join(lines)


def _total(review: Review) -> str:
    return (
        f"{review.points} of {review.checkable} points that can be checked "
        f"({_WHOLE} with plan and simulation)"
    )


def _counted(review: Review) -> str:
    if not review.findings:
        return "findings: none"
    left = [finding for finding in review.findings if finding.waived is None]
    counts: dict[str, int] = {risk: sum(f.risk is risk for f in left) for risk in Risk}
    counts["waived"] = len(review.findings) - len(left)
    return "findings: " + ", ".join(f"{n} {name}" for name, n in counts.items() if n)


def _open_first(review: Review) -> list[Finding]:
    """Give the findings with the waived ones last."""
    return sorted(review.findings, key=lambda finding: finding.waived is not None)


def _points(criterion: Criterion) -> str:
    if criterion.points is None:
        return f"- of {criterion.max}"
    return f"{criterion.points} of {criterion.checkable}"


def progress_text(found: Progress) -> str:
    """Give what has changed since a milestone, as plain text."""
    lines = [found.sentence, f"  {found.verdict_before} then, {found.verdict_now} now"]
    lines += [f"  {c.id}  {_count(c.before)} then, {_count(c.now)} now" for c in found.criteria]
    for name, findings in (("closed", found.closed), ("new", found.opened)):
        lines += [f"  {name:<6}  {f.risk:<6}  {f.id:<3}  {f.where}" for f in findings]
    return "\n".join(lines)


def _count(points: int | None) -> str:
    return "not checked" if points is None else str(points)


def _wrapped(text: str, *, label: str) -> list[str]:
    indent = " " * 10
    first = f"{indent}{label:<5}" if label else indent
    rest = " " * len(first)
    return textwrap.wrap(
        text,
        width=_WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _bottleneck_text(guess: BottleneckGuess) -> Iterator[str]:
    yield "what binds first, by closed forms over the brief's own numbers (nothing was measured)"
    if guess.rows:
        width = max(len(row.name) for row in guess.rows)
        yield f"  {'limit':<{width}}  {'used':>6}  {'breaks at':>9}"
        for row in guess.rows:
            yield f"  {row.name:<{width}}  {row.used * 100:>4.0f} %  {_headroom(row):>9}"
    for said in _said(guess):
        yield from textwrap.wrap(said, width=_WIDTH, initial_indent="  ", subsequent_indent="  ")


def _bottleneck_markdown(guess: BottleneckGuess) -> Iterator[str]:
    yield "What binds first, by closed forms over the brief's own numbers (nothing was measured):"
    yield ""
    if guess.rows:
        yield "| limit | used | breaks at | from |"
        yield "|---|---:|---:|---|"
        for row in guess.rows:
            used = f"{row.used * 100:.0f} %"
            yield f"| {row.name} {row.limit} | {used} | {_headroom(row)} | {_cell(row.basis)} |"
        yield ""
    yield " ".join(_said(guess))


def _said(guess: BottleneckGuess) -> Iterator[str]:
    yield guess.sentence
    if guess.runner_up is not None:
        yield f"Runner-up: {guess.runner_up.knob} (elasticity {guess.runner_up.elasticity:.2f})."
    if guess.p_holds is not None:
        said = (
            f"With the brief's ranges, all of it holds in {guess.p_holds * 100:.0f} % of "
            f"{guess.draws:,} draws (seed {guess.seed})"
        )
        if guess.matters_most is not None:
            said += f"; the range of {guess.matters_most} matters most"
        yield said + "."
    if guess.unknown:
        yield f"No closed form from the numbers given: {', '.join(guess.unknown)}."


def _headroom(row: HeadroomGuess) -> str:
    return "-" if row.headroom is None else f"{row.headroom:.2g}x"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
