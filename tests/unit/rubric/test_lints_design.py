"""When a lint on the design fires, how gravely, and what it leaves alone."""

from __future__ import annotations

import pytest

from feasible.rubric.lints_design import lint_design
from feasible.rubric.records import Finding
from feasible.schema import parse_brief

HEAD = "feasible: 1\nname: x\ngoal: {statement: x}\nenvelope:\n  - {latency: p99, at_most: 1 s}\n"
FRESH = "  - {freshness: new_answer, at_most: 30 min}\n"
FAILURE = "failures:\n  - {component: llm, detected_in: 10 s, fallback: rules}\n"


def lint(tiers: str = "", rest: str = FAILURE, *, envelope: str = "") -> dict[str, Finding]:
    """Give the findings of a brief by their id; each id is found at most once here."""
    layers = f"layers:\n  tiers:\n{tiers}" if tiers else ""
    found = list(lint_design(parse_brief(HEAD + envelope + layers + rest)))
    assert len(found) == len({finding.id for finding in found})
    return {finding.id: finding for finding in found}


def tier(extra: str, *, kind: str = "cache") -> str:
    """Give one tier as a line."""
    return f"    - {{name: t, kind: {kind}, usd: $0, {extra}}}\n"


@pytest.mark.parametrize(
    "failures",
    ["", "failures: [{component: llm, fallback: rules}]\n", "failures: [{component: llm}]\n"],
)
def test_a_failure_needs_a_fallback_and_a_time_to_see_it(failures: str) -> None:
    """A3 is content with one that has both."""
    assert lint(rest=failures)["A3"].risk == "HIGH"
    assert lint() == {}


def test_a_fix_by_labels_states_their_number_price_and_delay() -> None:
    """A4 lists what is missing; a price or delay in `labels:` will do."""
    fix = FAILURE + "bottleneck: {knob: k, fix: {change: collect more labels}}\n"
    priced = fix + "labels: {arrive_after: 1 d, usd_each: 0.4}\n"
    whole = priced.replace("labels}", "labels, labels: 500}")

    assert "labels: 500`, `usd_per_label: $0.40`, `label_delay: 1 d`" in lint(rest=fix)["A4"].fix
    assert lint(rest=priced)["A4"].why.endswith("no labels: labels cost money and come late")
    assert lint(rest=whole) == {}


def test_an_alternative_by_labels_states_its_price() -> None:
    """A4 looks at the ways not taken too."""
    fix = (
        FAILURE + "bottleneck: {knob: k, fix: {change: a worker, "
        "alternatives: [{change: annotate more cases}]}}\n"
    )

    assert lint(rest=fix)["A4"].where == "brief.yaml:8"
    assert lint(rest=fix.replace("more cases}", "more cases, usd_month: $9}")) == {}


def test_retraining_that_needs_labels_says_what_they_cost() -> None:
    """A4: 300 labels a time with neither price nor delay anywhere."""
    layers = "layers: {feedback: {retrain: {every: 30 d, usd: $5, labels: 300}}}\n"

    assert "no usd_per_label, no label_delay" in lint(rest=FAILURE + layers)["A4"].why


def test_a_note_that_hopes_for_more_data_counts_too() -> None:
    """A4: wherever the sentence stands."""
    note = "layers: {data: {note: better with more data}}\n"

    assert lint(rest=FAILURE + note)["A4"].where == "brief.yaml:8"


@pytest.mark.parametrize(
    ("extra", "envelope", "risk"),
    [
        ("size: 10", "", "MEDIUM"),
        ("size: 10", FRESH, "HIGH"),
        ("ttl: 1 h", FRESH, "HIGH"),
        ("ttl: 1 h, invalidate: on every new plan", FRESH, None),
        ("ttl: 30 min", FRESH, None),
        ("ttl: 1 h", "", None),
        ("ttl: 1 h, note: answers similar questions", "", "MEDIUM"),
        ("ttl: 1 h, note: answers similar questions, false_hit: 1 %", "", None),
    ],
)
def test_a_cache_forgets_in_time(extra: str, envelope: str, risk: str | None) -> None:
    """A9: graver where freshness is promised; similarity needs a share of wrong hits."""
    found = lint(tier(extra), envelope=envelope).get("A9")

    assert (None if found is None else found.risk) == risk


@pytest.mark.parametrize(
    ("extra", "fires"),
    [
        ("retries: 3", True),
        ("retries: 3, retry_budget: 10 %", False),
        ("retries: 3, breaker: 5 failures in 10 s", False),
        ("timeout: 1 s", False),
    ],
)
def test_retries_have_a_budget_or_a_breaker(extra: str, *, fires: bool) -> None:
    """A10: three retries are four times the calls on the worst day."""
    found = lint(tier(extra, kind="llm"))

    assert ("A10" in found) == fires
    if fires:
        assert "4x the calls" in found["A10"].why


@pytest.mark.parametrize(
    ("retrain", "gaps"),
    [
        ("", "no cadence or trigger and no price"),
        ("retrain: {trigger: regularly, usd: $5}", "no cadence or trigger"),
        ("retrain: {every: 7 d}", "no price"),
        ("retrain: {every: 7 d, usd: $5}", None),
        ("retrain: {trigger: accuracy below its floor, usd: $5}", None),
    ],
)
def test_retraining_has_a_cadence_and_a_price(retrain: str, gaps: str | None) -> None:
    """A11: a trigger is as good as a cadence, an adverb is neither."""
    tiers = tier("capacity: 9 / s", kind="model") + f"  feedback: {{{retrain}}}\n"

    found = lint(tiers).get("A11")

    assert (None if found is None else found.why.partition("retraining has ")[2]) == gaps


def test_rules_do_not_retrain() -> None:
    """A11: a design of rules alone is a valid design."""
    assert lint(tier("capacity: 9 / s", kind="rules")) == {}


def test_people_have_a_capacity() -> None:
    """A13 says how many cases would come, where the brief says it: 10 / s x 1 % = 360 an hour."""
    tiers = tier("reach: 1 %", kind="person")

    found = lint(tiers, FAILURE + "traffic: {rate: 10 / s}\n")

    assert "360 cases an hour" in found["A13"].why
    assert lint(tier("capacity: 9 / h", kind="person")) == {}
