"""A brief is read with its lines, refused with a reason, and written back unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from feasible.errors import BriefError
from feasible.schema import brief_schema, dump_brief, load_brief, parse_brief

TEXT = """\
feasible: 1
name: support
goal:
  statement: Answer merchants without a person
  decision: which answer to give
  metric: resolution_minutes
  now: 42
  target: 15
  value_usd: 1.80
  response:
    - {of: resolved_share, to: latency_ms, points: {100: 1.00, 300: 0.97}, basis: assumed}
metrics:
  - {name: accuracy, kind: model, leads_to: resolution_minutes}
envelope:
  - {latency: p99, at_most: 200 ms}
  - {cost: mean, at_most: $0.002..$0.005}
  - {quality: accuracy, at_least: 0.90, confidence_level: 0.95}
  - {quality: recall, of: fraud, on: high_risk, at_least: 99.5 %}
  - {people: reviews, at_most: 3 %}
  - {residency: personal_data, must_stay: on_site}
traffic: {rate: 50 / s, peak: 10x, arrivals: bursty, slices: {high_risk: 2 %}}
labels: {arrive_after: 14 d, per_month: 2000, positives_per_month: {fraud: 90}, usd_each: 0.40}
layers:
  tiers:
    - {name: rules, kind: rules, use: tiers:rules, usd: $0.00001, keeps: [latency_p99]}
    - {name: person, kind: person, usd: $1.5}
  serving: {deadline: 200 ms, fallback: {default: person}}
"""


def test_a_brief_survives_write_and_read() -> None:
    """What is written reads back as an equal brief, ranges and percentages included."""
    brief = parse_brief(TEXT).brief

    again = parse_brief(dump_brief(brief)).brief

    assert again == brief
    assert dump_brief(again) == dump_brief(brief)


def test_a_part_knows_its_line() -> None:
    """`where` gives file:line, of the part or of what holds it."""
    found = parse_brief(TEXT)

    assert found.where("envelope[3].on") == "brief.yaml:18"
    assert found.where("envelope[3].by") == "brief.yaml:18"
    assert found.order[:5] == ("feasible", "name", "goal", "metrics", "envelope")


def test_objectives_have_ids_that_other_parts_cite() -> None:
    """An id says what is promised on which slice."""
    ids = [objective.id for objective in parse_brief(TEXT).brief.envelope]

    assert ids == [
        "latency_p99",
        "cost_mean",
        "accuracy",
        "recall_fraud_high_risk",
        "people_reviews",
        "residency_personal_data",
    ]


@pytest.mark.parametrize(
    ("written", "instead", "line", "reason"),
    [
        (
            "on: high_risk",
            "on: high_rsik",
            18,
            "unknown slice 'high_rsik'; did you mean 'high_risk'?",
        ),
        ("leads_to", "leds_to", 13, "unknown key `leds_to`; did you mean `leads_to`?"),
        ("traffic:", "trafic:", 21, "unknown key `trafic`; did you mean `traffic`?"),
        ("200 ms}\n  - {cost", "200}\n  - {cost", 15, "has no unit; write it like 200 ms"),
        ("peak: 10x", "peak: 10", 21, "has no unit"),
        ("at_least: 0.90", "at_least: 1.2", 17, "a share is at most 1"),
        ("at_most: 3 %", "at_most: 300 %", 19, "a share is at most 1"),
        ("latency: p99", "latency: p999", 15, "unknown measure 'p999'"),
        (
            "at_least: 99.5 %",
            "at_most: 99.5 %, at_least: 90 %",
            18,
            "takes `at_most` or `at_least`",
        ),
        ("latency: p99, at_most", "latency: p99, at_least", 15, "`latency` takes `at_most`"),
        ("people: reviews", "people: reviews, cost: mean", 19, "exactly one of"),
        (
            "at_least: 0.90, confidence_level: 0.95",
            "at_least: 0.9, confidence_level: 95",
            17,
            "between 0 and 1",
        ),
        ("usd: $0.00001", "usd: $-1", 25, "a price is at least $0"),
        ("usd: $0.00001", "concurrency: 0", 25, "at least 1 call in flight; found 0"),
        ("usd: $0.00001", "timeout: 0 ms", 25, "a time above 0"),
        ("usd: $0.00001", "retries: -1", 25, "0 to 10 times; found -1"),
        ("usd: $0.00001", "breaker: when it is down", 25, "`5 failures in a row`"),
        ("usd: $0.00001", "breaker: 0 failures in 10 s", 25, "counts from 1 to 10,000"),
        ("usd: $0.00001", "breaker: 5 failures in 10", 25, "has no unit"),
        ("usd: $0.00001", "breaker: 120 % of 20 calls", 25, "at most 100 %"),
        ("usd: $0.00001", "hedge_after: p98", 25, "p95, or a length of time"),
        ("usd: $0.00001", "hedge_after: 0 s", 25, "a time above 0"),
        (
            "usd: $0.00001",
            "hedge_after: 200 ms, timeout: 200 ms",
            25,
            "200 ms is not before the timeout of 200 ms",
        ),
        ("usd: $0.00001", "isolate: thread", 25, "layers.tiers[0].isolate"),
        ("kind: person", "kind: person, isolate: process", 26, "the service's own memory"),
        ("default: person", "default: persn", 27, "unknown tier 'persn'; did you mean 'person'?"),
        ("fallback: {default", "fallback: {high_rsk", 27, "unknown slice 'high_rsk'"),
        ("keeps: [latency_p99]", "keeps: [latency_p9]", 25, "unknown objective 'latency_p9'"),
        ("name: person", "name: rules", 26, "two tiers are named 'rules'"),
        ("name: support\n", "", 1, "missing `name`"),
        ("feasible: 1\n", "", 1, "its version"),
        ("goal:", "goal: [", 5, "not YAML"),
        ("people: reviews, at_most: 3 %", "latency: p99, at_most: 1 s", 19, "promised twice"),
        ("people: reviews, at_most: 3 %", "abstention: share, at_most: 3", 19, "at most 1"),
        ("people: reviews", "abstention: silent", 19, "unknown measure 'silent'; known: share"),
        ("people: reviews, at_most", "abstention: share, at_least", 19, "takes `at_most`"),
        ("people: reviews", "joint: right_in_time", 19, "`joint` takes `at_least`"),
        (
            "{people: reviews, at_most: 3 %}",
            "{joint: right_in_time, at_least: 90 %}",
            19,
            "`joint` needs `within`, a time",
        ),
        (
            "{people: reviews, at_most: 3 %}",
            "{joint: right_in_time, within: 200, at_least: 90 %}",
            19,
            "no unit",
        ),
        (
            "{people: reviews, at_most: 3 %}",
            "{joint: right_in_time, within: 0 ms, at_least: 90 %}",
            19,
            "a time above 0",
        ),
        (
            "{people: reviews, at_most: 3 %}",
            "{joint: right_in_time, within: 200 ms, at_least: 90}",
            19,
            "a share is at most 1",
        ),
        (
            "{people: reviews, at_most: 3 %}",
            "{joint: in_time, within: 200 ms, at_least: 0.9}",
            19,
            "unknown measure 'in_time'; known: right_in_time",
        ),
        ("people: reviews", "people: reviews, within: 1 s", 19, "`within` is of a joint promise"),
        ("of: fraud, on: high_risk, ", "", 18, "`recall` of what? it needs `of`, a class"),
        ("recall, of: fraud", "precision", 18, "`precision` of what? it needs `of`, a class"),
        ("quality: accuracy", "quality: acuracy", 17, "did you mean 'accuracy'?"),
        ("quality: accuracy", "quality: accuracy, of: fraud", 17, "is over all answers"),
        ("quality: accuracy", "quality: f1, of: fraud", 17, "'f1' is not"),
        ("quality: accuracy", "quality: in_time_and_right", 17, "judged by answers alone"),
        ("quality: accuracy", "quality: as good as it gets", 17, "is no name"),
        (
            "{people: reviews, at_most: 3 %}",
            "{quality: f1, at_least: 0.5}\n  - {quality: reward, at_least: 0.5}",
            20,
            "'reward' and 'f1' are two names for the one loss",
        ),
    ],
)
def test_a_broken_brief_names_the_line_and_the_mend(
    written: str, instead: str, line: int, reason: str
) -> None:
    """Every error reads file:line: field: reason, with the nearest valid name if there is one."""
    assert written in TEXT

    with pytest.raises(BriefError) as caught:
        parse_brief(TEXT.replace(written, instead, 1))

    assert reason in str(caught.value)
    assert caught.value.where == f"brief.yaml:{line}"


@pytest.mark.parametrize("name", ["reward", "f1", "ndcg_at_10", "precision@5", "exact-match"])
def test_a_feature_may_name_its_own_loss(name: str) -> None:
    """Any name will do that is not taken for another measure."""
    brief = parse_brief(TEXT.replace("quality: accuracy", f"quality: {name}")).brief

    assert brief.envelope[2].quality == name


def test_a_joint_promise_survives_write_and_read() -> None:
    """It is called by what it promises, and needs labels as quality does."""
    joint = "{joint: right_in_time, within: 200 ms, on: high_risk, at_least: 90 %}"

    brief = parse_brief(TEXT.replace("{people: reviews, at_most: 3 %}", joint)).brief

    assert parse_brief(dump_brief(brief)).brief == brief
    found = brief.objective("right_in_time_high_risk")
    assert found.needs_labels
    assert found.within is not None
    assert found.within.ms == 200


def test_a_brief_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The error names the byte."""
    (tmp_path / "brief.yaml").write_bytes(b"feasible: 1\nname: caf\xe9\n")

    with pytest.raises(BriefError, match="UTF-8"):
        load_brief(tmp_path)


def test_an_empty_brief_is_refused() -> None:
    """The error says what a brief starts with."""
    with pytest.raises(BriefError, match="mapping that starts with"):
        parse_brief("")


def test_a_missing_brief_says_how_to_write_one(tmp_path: Path) -> None:
    """The error offers `feasible new`."""
    with pytest.raises(BriefError, match="feasible new"):
        load_brief(tmp_path)


def test_the_schema_comes_from_the_same_definition() -> None:
    """The JSON Schema knows every section and refuses unknown keys."""
    schema = brief_schema()
    brief = schema["$defs"]["Brief"]

    assert {"feasible", "name", "goal", "envelope", "layers"} <= set(brief["properties"])
    assert brief["additionalProperties"] is False
    objective = schema["$defs"]["Objective"]
    assert {"required": ["joint"]} in objective["oneOf"]
    assert {"required": ["abstention"]} in objective["oneOf"]
    assert objective["dependentRequired"]["joint"] == ["within"]
    assert set(brief["required"]) == {"feasible", "name", "goal", "envelope"}


def test_how_a_tier_is_called_survives_write_and_read() -> None:
    """Isolation, hedging, retries and the breaker come back as they were written."""
    called = (
        "usd: $0.00001, isolate: process, hedge_after: p95, retries: 2, retry_budget: 10 %, "
        "breaker: half of 20 calls fail, concurrency: 4, timeout: 200 ms"
    )
    brief = parse_brief(TEXT.replace("usd: $0.00001", called)).brief

    assert parse_brief(dump_brief(brief)).brief == brief
    tier = brief.tier("rules")
    assert (tier.isolate, tier.hedge_after, tier.breaker) == (
        "process",
        "p95",
        "half of 20 calls fail",
    )
    properties = brief_schema()["$defs"]["TierSpec"]["properties"]
    assert {"isolate", "hedge_after"} <= set(properties)


def test_a_tier_says_what_it_takes_up() -> None:
    """A size is read with its unit, so that a bundle can be held to its footprint."""
    sized = "usd: $0.00001, place: device, footprint: 1.5 MB"

    brief = parse_brief(TEXT.replace("usd: $0.00001", sized)).brief

    footprint = brief.tier("rules").footprint
    assert footprint is not None
    assert footprint.mid == 1.5e6
    assert parse_brief(dump_brief(brief)).brief == brief
