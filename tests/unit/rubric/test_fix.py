"""A fix is worth what it buys in a second review and a second simulation, and not what it says."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from feasible.rubric import Criterion, Finding, score
from feasible.schema import parse_brief

pytestmark = pytest.mark.slow

HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
DESIGN = HEALTHY.replace("capacity: 200 / h", "capacity: 5000 / h").replace(", timeout: 150 ms", "")
"""Enough people, and a scorer that is waited for: its capacity binds at the peak."""
TODAY = date(2026, 11, 23)


def _judged(*pairs: tuple[str, str], of: str = "R6") -> tuple[Criterion, tuple[Finding, ...]]:
    text = DESIGN
    for pattern, instead in pairs:
        text, count = re.subn(pattern, instead, text, flags=re.MULTILINE)
        assert count, pattern
    found = score(parse_brief(text), today=TODAY)
    findings = tuple(finding for finding in found.findings if finding.id == of)
    return next(c for c in found.criteria if c.id == of), findings


def _line(criterion: Criterion, about: str) -> str:
    return next(said for said in criterion.evidence if about in said)


def test_a_fix_that_buys_what_it_claims_earns_eight() -> None:
    """Twice the scorer's capacity is at least twice the headroom of what queues for it."""
    judged, _ = _judged()

    assert _line(judged, "with scorer.capacity 100 / s").startswith("+8 ")
    bought = re.search(r": ([\d.]+)x the headroom", _line(judged, "with scorer.capacity"))
    assert bought is not None
    assert 2.0 <= float(bought[1]) < 2.5


@pytest.mark.parametrize(
    ("pattern", "instead", "earned", "told"),
    [
        ("gains: 2x", "gains: 4x", "+0", "4x claimed"),
        (r"\n    gains: 2x", "", "+4", "claims no number"),
        (r"sets: \{scorer.capacity: 100 / s\}", "sets: {rules.usd: $0.000001}", "+0", "nothing"),
        (r"capacity: 100 / s\}", "capacity: 100 / s, person.reach: 40 %}", "+0", "breaks by it"),
    ],
)
def test_a_fix_that_does_not_earns_less(pattern: str, instead: str, earned: str, told: str) -> None:
    """Too large a claim, none, another knob, and a promise that the fix breaks."""
    judged, findings = _judged((pattern, instead))

    line = _line(judged, told)
    assert line.startswith(earned), judged.evidence
    assert findings
    assert findings[0].where.startswith("brief.yaml:")


def test_a_price_is_held_against_the_prices_of_the_brief() -> None:
    """A replica of $0.10 an hour, two of them at the peak: $73 a month more, and $70 is near it.

    By hand: 80 requests a second at the peak, 40 % reach the scorer, 32 a second; a replica bears
    25, so two are needed; one bears 50, and then one will do, which is cheaper.
    """
    with_price = ("latency_p95: 80 ms, reach", "usd_hour: $0.10, latency_p95: 80 ms, reach")

    judged, _ = _judged(with_price)

    assert _line(judged, "$70.00 a month stated").startswith("+3 ")  # nothing is added by it
    judged, _ = _judged((r"usd_month: \$70", "usd_month: $0"), with_price)
    assert _line(judged, "$0 a month stated").startswith("+6 ")


def test_labels_have_a_price_that_can_be_worked_out() -> None:
    """300 labels at $2 are $600 a month; $550 is within 30 %, and $100 is not."""
    labels = (r"    gains: 2x", "    gains: 2x\n    labels: 300\n    usd_per_label: $2")

    near, _ = _judged(labels, (r"usd_month: \$70", "usd_month: $550"))
    far, _ = _judged(labels, (r"usd_month: \$70", "usd_month: $100"))

    assert _line(near, "by the brief's own prices").startswith("+6 ")
    assert _line(far, "by the brief's own prices").startswith("+0 ")


def test_an_alternative_is_dearer_for_what_it_buys() -> None:
    """Four more points for a fix that beats one in dollars per unit of headroom."""
    other = r"buys: a third less load\}"
    dear = "buys: a third less load, sets: {scorer.reach: 27 %}}"

    beaten, _ = _judged(
        (other, dear), (r"change: skip.*usd_month: \$0", "change: x, usd_month: $900")
    )
    kept, _ = _judged((other, dear))

    assert _line(beaten, "beats alternative").startswith("+4 ")
    assert _line(kept, "beats no alternative").startswith("+0 ")


def test_a_fix_in_words_is_not_checked_and_said_so() -> None:
    """It loses no points that nobody looked at, and is told how to be looked at."""
    judged, findings = _judged((r"^    (?:sets|gains): .*\n", ""))

    assert judged.checkable < 20
    assert any("not checked" in said for said in judged.evidence)
    assert any("sets" in finding.fix for finding in findings)
