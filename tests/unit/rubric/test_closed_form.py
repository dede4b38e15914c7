"""How much of each limit is used, against sums done by hand."""

from __future__ import annotations

import pytest

from feasible.rubric.closed_form import uses
from feasible.schema import parse_brief
from feasible.simulation import middles, sheet

TIERS = """
    - {name: cache, kind: cache, usd: $0, latency_p95: 1 ms, ttl: 20 min}
    - {name: rules, kind: rules, usd: $0.001, latency_p95: 4 ms, adapts_in: 6 h, ready_in: 2 d}
    - {name: small, kind: model, usd: $0.001, latency_p95: 20 ms, reach: 40 %, capacity: 50 / s}
    - {name: llm, kind: llm, usd: $0.01, latency_p95: 1 s, reach: 4 %, concurrency: 8, place: cloud}
    - {name: person, kind: person, usd: $1, reach: 0.5 %, capacity: 360 / h}
"""


def used(objective: str, *, tiers: str = TIERS, rest: str = "") -> dict[str, float]:
    """Give the share of its limit that each row of a brief uses."""
    brief = parse_brief(
        f"feasible: 1\nname: x\ngoal: {{statement: x}}\nenvelope:\n  - {{{objective}}}\n"
        f"traffic: {{rate: 10 / s, peak: 6x, repeated: 30 %, slices: {{offline: 20 %}}}}\n"
        f"layers:\n  tiers:{tiers}{rest}"
    ).brief
    return {row.name: float(row.used[0]) for row in uses(brief, middles(sheet(brief), brief))}


@pytest.mark.parametrize(
    ("objective", "row", "expected"),
    [
        # Tiers that more than 1 - q of the decisions reach: four machines at p99, no llm at p95.
        ("latency: p99, at_most: 2050 ms", "latency_p99", (1 + 4 + 20 + 1000) / 2050),
        ("latency: p95, at_most: 50 ms", "latency_p95", (1 + 4 + 20) / 50),
        ("latency: p50, at_most: 50 ms", "latency_p50", (1 + 4) / 50),
        ("latency: mean, at_most: 100 ms", "latency_mean", (1 + 0.7 * 4 + 0.4 * 20 + 40) / 100),
        # A cloud is not there offline.
        ("latency: p99, on: offline, at_most: 50 ms", "latency_p99_offline", (1 + 4 + 20) / 50),
        # 0.7 x $0.001 + 0.4 x $0.001 + 0.04 x $0.01 + 0.005 x $1 = $0.0065.
        ("cost: mean, at_most: $0.013", "cost_mean", 0.5),
        ("cost: mean, by: machines, at_most: $0.003", "cost_mean_machines", 0.5),
        ("cost: day, at_most: $11232", "cost_day", 0.5),
        # 80 / s x 40 % of 50 / s is 64 %; 80 / s x 4 % x 1 s of 8 calls is 40 %.
        ("throughput: peak, at_least: 80 / s", "throughput_peak", 0.64),
        # Without the promise it is the declared peak: 60 / s.
        ("latency: p99, at_most: 1 h", "capacity", 0.48),
        ("people: reviews, at_most: 2 %", "people_reviews", 0.25),
        ("people: reviews, at_most: 8640 / d", "people_reviews", 0.5),
        # 10 / s x 0.5 % is 180 an hour.
        ("latency: p99, at_most: 1 h", "person.capacity", 0.5),
        ("freshness: answer, at_most: 40 min", "freshness_answer", 0.5),
        ("adaptation: pattern, at_most: 1 d", "adaptation_pattern", 0.25),
        ("delivery: first_version, at_most: 8 d", "delivery_first_version", 0.25),
    ],
)
def test_a_row_is_the_sum_that_one_would_do_by_hand(
    objective: str, row: str, expected: float
) -> None:
    """Value over limit at the declared traffic."""
    assert used(objective)[row] == pytest.approx(expected)


def test_what_the_brief_does_not_state_has_no_row() -> None:
    """Unknown is not 0."""
    bare = "\n    - {name: rules, kind: rules}\n"

    for objective in (
        "latency: p99, at_most: 1 s",
        "cost: mean, at_most: $1",
        "freshness: answer, at_most: 1 h",
        "adaptation: pattern, at_most: 1 h",
        "footprint: bundle, at_most: 2 MB",
        "quality: accuracy, at_least: 0.9",
        "cost: each, at_most: $1",
    ):
        assert used(objective, tiers=bare) == {}


def test_without_a_tier_that_adapts_it_takes_seeing_labelling_and_retraining() -> None:
    """2 d until it is seen, 1 d for labels, 7 d until the next retraining: 10 of 20 days."""
    tiers = "\n    - {name: rules, kind: rules}\n"
    rest = "  feedback: {detected_in: 2 d, retrain: {every: 7 d, label_delay: 1 d}}\n"

    found = used("adaptation: pattern, at_most: 20 d", tiers=tiers, rest=rest)

    assert found["adaptation_pattern"] == pytest.approx(0.5)


def test_sizes_on_the_device_add_up() -> None:
    """500 kB and 1 MB of 2 MB."""
    tiers = (
        "\n    - {name: grammar, kind: rules, footprint: 500 kB, place: device}"
        "\n    - {name: intent, kind: model, footprint: 1 MB, place: device, capacity: 1 / s}\n"
    )

    found = used("footprint: bundle, at_most: 2 MB", tiers=tiers)

    assert found == {"footprint_bundle": pytest.approx(0.75)}


def test_evidence_takes_its_share_of_the_time_until_it_is_due() -> None:
    """95 % takes 124 cases when a fifth of the limit misses: at 62 a month, 2 months of 4."""
    brief = parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: x}\nenvelope:\n"
        "  - {quality: recall, of: fraud, at_least: 0.95}\n"
        "  - {delivery: recall_fraud, at_most: 4 months}\n"
        "labels: {positives_per_month: {fraud: 62}}\n"
    ).brief

    (row,) = uses(brief, middles(sheet(brief), brief))

    assert row.is_evidence
    assert row.name == "recall_fraud"
    assert row.basis.startswith("124 labelled cases at 62 a month take 2.0 months")
    assert float(row.used[0]) == pytest.approx(0.5)
