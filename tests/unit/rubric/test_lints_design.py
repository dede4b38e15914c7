"""When a lint on the design fires, how gravely, and what it leaves alone."""

from __future__ import annotations

import pytest

from feasible.rubric.lints_design import lint_design
from feasible.rubric.records import Finding, Risk
from feasible.schema import parse_brief

HEAD = "feasible: 1\nname: x\ngoal: {statement: x}\nenvelope:\n  - {latency: p99, at_most: 1 s}\n"
FRESH = "  - {freshness: new_answer, at_most: 30 min}\n"
FAILURE = "failures:\n  - {component: llm, detected_in: 10 s, fallback: rules}\n"


def lint(tiers: str = "", rest: str = FAILURE, *, envelope: str = "") -> dict[str, Finding]:
    """Give the findings of a brief above LOW by their id; each id is found at most once here."""
    layers = f"layers:\n  tiers:\n{tiers}" if tiers else ""
    found = list(lint_design(parse_brief(HEAD + envelope + layers + rest)))
    found = [finding for finding in found if finding.risk is not Risk.LOW]
    assert len(found) == len({finding.id for finding in found})
    return {finding.id: finding for finding in found}


def tier(extra: str, *, kind: str = "cache") -> str:
    """Give one tier as a line."""
    return f"    - {{name: t, kind: {kind}, usd: $0, {extra}}}\n"


RULES = "    - {name: rules, kind: rules, usd: $0}\n"


@pytest.mark.parametrize(
    "failures",
    [
        "",
        "failures: [{component: llm, fallback: rules}]\n",
        "failures: [{component: llm}]\n",
        "failures: [{component: llm, detected_in: 10 s, fallback: llm}]\n",
        "failures: [{component: llm, detected_in: 10 s, fallback: TBD}]\n",
    ],
)
def test_a_failure_needs_a_fallback_and_a_time_to_see_it(failures: str) -> None:
    """A3 is content with one that has both; what failed cannot stand in for itself."""
    assert lint(RULES, failures)["A3"].risk == "HIGH"
    assert lint(RULES) == {}


def test_an_envelope_without_tiers_may_still_think_about_failures() -> None:
    """A3: nothing is built that could fail."""
    assert lint(rest="")["A3"].risk == "MEDIUM"


def test_a_fix_by_labels_states_their_number_price_and_delay() -> None:
    """A4 lists what is missing, and asks whether what `labels:` says holds for these too."""
    fix = FAILURE + "bottleneck: {knob: k, fix: {change: collect more labels}}\n"
    priced = fix + "labels: {arrive_after: 1 d, usd_each: 0.4}\n"
    borrowed = priced.replace("labels}", "labels, labels: 500}")
    whole = borrowed.replace("500}", "500, usd_per_label: $1, label_delay: 1 d}")

    assert "labels: 500`, `usd_per_label: $0.40`, `label_delay: 1 d`" in lint(rest=fix)["A4"].fix
    assert lint(rest=priced)["A4"].why.endswith("no labels: labels cost money and come late")
    assert lint(rest=borrowed)["A4"].risk == "MEDIUM"
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


def test_a_cache_that_only_waits_is_worth_knowing() -> None:
    """A9 is LOW when the time to live keeps the promise and nothing empties the cache before."""
    text = HEAD + FRESH + "layers:\n  tiers:\n" + tier("ttl: 30 min, invalidate: never") + FAILURE

    assert [(f.id, f.risk) for f in lint_design(parse_brief(text))] == [("A9", "LOW")]


def test_an_option_that_speaks_of_similarity_counts() -> None:
    """A9 reads the names of a cache's options too."""
    found = lint(tier("ttl: 1 h, options: {min_cosine: 0.9}"))

    assert "wrong hits" in found["A9"].why


@pytest.mark.parametrize(
    ("extra", "risk"),
    [
        ("retries: 3", "HIGH"),
        ("retries: 3, retry_budget: 100 %, breaker: none", "HIGH"),
        ("retries: 3, retry_budget: 10 %", "MEDIUM"),
        ("retries: 3, breaker: 5 failures in 10 s", "MEDIUM"),
        ("retries: 3, retry_budget: 10 %, breaker: 5 failures in 10 s", None),
        ("timeout: 1 s", None),
    ],
)
def test_retries_have_a_budget_and_a_breaker(extra: str, risk: str | None) -> None:
    """A10: three retries are four times the calls on the worst day."""
    found = lint(tier(extra, kind="llm")).get("A10")

    assert (None if found is None else found.risk) == risk
    if found is not None:
        assert ("4x the calls" in found.why) == (risk == "HIGH")


def test_a_fallback_that_tries_again_is_a_retry() -> None:
    """A10 reads words where no tier states a budget."""
    again = FAILURE.replace("rules}", "retry until it answers}")
    budget = tier("retries: 1, retry_budget: 10 %, breaker: 5 failures in 10 s", kind="llm")

    assert lint(rest=again)["A10"].where == "brief.yaml:7"
    assert lint(rest=FAILURE.replace("rules}", "rules; never retried}")) == {}
    assert lint(budget, again) == {}


@pytest.mark.parametrize(
    ("retrain", "gaps"),
    [
        ("", "no cadence or trigger and no price"),
        ("retrain: {trigger: regularly, usd: $5}", "no cadence or trigger"),
        ("retrain: {trigger: whenever necessary, usd: $5}", "no cadence or trigger"),
        ("retrain: {trigger: TBD, usd: $5}", "no cadence or trigger"),
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
    assert "A13" in lint(tier("capacity: 0 / h", kind="person"))


def test_labels_have_a_price_and_a_delay() -> None:
    """A4: a number alone is half of what labels cost; outcomes come without a price."""
    half = FAILURE + "labels: {per_month: 500, arrive_after: 1 d}\n"
    outcome = half.replace("1 d}", "1 d, source: outcome}")

    assert "no usd_each" in lint(rest=half)["A4"].why
    assert lint(rest=half)["A4"].risk == "MEDIUM"
    assert lint(rest=outcome) == {}
    assert "no arrive_after" in lint(rest=outcome.replace("arrive_after: 1 d, ", ""))["A4"].why


def test_saying_who_labels_is_no_wish_for_more() -> None:
    """A4 leaves a sentence about where labels come from alone."""
    assert lint(rest=FAILURE + "layers: {data: {labels: agents label cases at closing}}\n") == {}


def test_a_vague_retraining_is_vague_whatever_is_retrained() -> None:
    """A11: prompts and rules may be fitted again as well."""
    vague = "  feedback: {retrain: {trigger: regularly, usd: $5}}\n"

    assert "A11" in lint(tier("capacity: 9 / s", kind="llm") + vague)
