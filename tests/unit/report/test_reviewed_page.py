"""A review as a page: everything is in it, nothing runs, nothing is asked of another host."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from datetime import date

from feasible.report import reviewed_page
from feasible.rubric import Milestone, Waiver, progress, review
from feasible.schema import parse_brief

TEXT = """\
feasible: 1
name: x
goal: {statement: "<script>alert(1)</script>"}
envelope:
  - {latency: mean, at_most: 1 s}
"""
TODAY = date(2026, 11, 23)


def test_a_page_says_what_the_review_says() -> None:
    """Every finding with its line and fix, every criterion, and what has changed."""
    judged = review(
        parse_brief(TEXT), waivers=(Waiver(finding="A6", reason="paid by mean"),), today=TODAY
    )

    page = reviewed_page(judged, since=progress(Milestone(day=TODAY, review=judged), judged))

    for finding in judged.findings:
        assert html.escape(finding.why) in page
        assert html.escape(finding.fix) in page
    for criterion in judged.criteria:
        assert html.escape(criterion.title) in page
    assert "HIGH, waived" in page
    assert "paid by mean" in page
    assert "stands where it stood" in page


def test_a_page_runs_nothing_and_asks_nobody() -> None:
    """Its policy allows its own style, by its hash, and nothing else."""
    page = reviewed_page(review(parse_brief(TEXT), today=TODAY))

    policy = html.unescape(re.findall(r'Policy" content="([^"]*)"', page)[0])
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-{digest}'"
    )
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=|url\(|style=", page)
