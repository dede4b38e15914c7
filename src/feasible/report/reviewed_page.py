"""A review as one HTML page that opens without a network and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from feasible.report.simulated_page import STYLE
from feasible.rubric import Finding, Progress, Review, progress_text

__all__ = ["reviewed_page"]

_STYLE: Final = (
    STYLE + "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #8886;"
    "padding:.3rem .5rem;text-align:left;vertical-align:top}.n{text-align:right}\n"
)
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def reviewed_page(review: Review, *, since: Progress | None = None) -> str:
    """Give the page: verdict and points, what has changed, findings, criteria, what binds.

    Args:
        review: The review.
        since: What has changed since a milestone.
    """
    title = html.escape(f"{review.name}: {review.verdict}")
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{review.points} of {review.checkable} points that can be checked.</p>",
        _listed([*review.caps, *review.lenses]),
        "" if since is None else f"<h2>Since {since.since}</h2><pre>{_text(since)}</pre>",
        f"<h2>{html.escape(_counted(review))}</h2>",
        _table(("risk", "id", "where", "why", "fix", "buys"), _findings(review.findings)),
        "<h2>Criteria</h2>",
        _table(("criterion", "points", "evidence"), _criteria(review)),
        "<h2>What binds first, by closed forms over the brief's own numbers</h2>",
        f"<p>{html.escape(review.bottleneck.sentence)}</p>",
        _table(("limit", "used", "from"), _rows(review)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">'
        f'<title>{title}</title><meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _text(since: Progress) -> str:
    return html.escape(progress_text(since))


def _counted(review: Review) -> str:
    left = sum(finding.waived is None for finding in review.findings)
    rest = len(review.findings) - left
    return f"{left} findings" + (f", {rest} waived" if rest else "")


def _listed(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _findings(findings: Iterable[Finding]) -> Iterator[tuple[str, ...]]:
    for finding in sorted(findings, key=lambda one: one.waived is not None):
        is_open = finding.waived is None
        risk = finding.risk if is_open else f"{finding.risk}, waived"
        why = finding.why if is_open else f"{finding.why} Waived: {finding.waived}"
        yield risk, finding.id, finding.where, why, finding.fix, finding.buys


def _criteria(review: Review) -> Iterator[tuple[str, ...]]:
    for criterion in review.criteria:
        points = "-" if criterion.points is None else str(criterion.points)
        of = criterion.max if criterion.points is None else criterion.checkable
        said = "; ".join(criterion.evidence)
        yield f"{criterion.id} {criterion.title}", f"{points} of {of}", said


def _rows(review: Review) -> Iterator[tuple[str, ...]]:
    for row in review.bottleneck.rows:
        yield f"{row.name} {row.limit}", f"{row.used * 100:.0f} %", row.basis


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
