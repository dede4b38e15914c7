"""What the screen calls infeasible, and what it leaves to the plan."""

from __future__ import annotations

import pytest

from feasible.rubric.feasibility import screen
from feasible.rubric.records import Finding
from feasible.schema import parse_brief


def found_in(envelope: str, tiers: str, traffic: str = "{rate: 10 / s}") -> tuple[Finding, ...]:
    """Screen a brief of these objectives and tiers."""
    return screen(
        parse_brief(
            f"feasible: 1\nname: x\ngoal: {{statement: x}}\nenvelope:\n  - {{{envelope}}}\n"
            f"traffic: {traffic}\nlayers:\n  tiers:\n"
            + "".join(f"    - {{{line}}}\n" for line in tiers.splitlines())
        )
    )


FAST = "name: rules, kind: rules, usd: $0.001, latency_p95: 5 ms, capacity: 100 / s"
SLOW = "name: llm, kind: llm, usd: $0.01, latency_p95: 295 ms, reach: 20 %"
PERSON = "name: person, kind: person, usd: $1, reach: 1 %, capacity: 400 / h"
P99 = "latency: p99, at_most: 200 ms"


def test_no_tier_is_fast_enough() -> None:
    """The fastest machine decides, and the sum over all tiers is not held against it again."""
    (finding,) = found_in(P99, SLOW.replace("reach: 20 %", "reach: 1"))

    assert "the fastest machine, llm, takes 295 ms at p95" in finding.why
    assert finding.risk == "HIGH"


def test_a_chain_is_as_slow_as_its_sum() -> None:
    """5 ms and 295 ms make 300 ms, which is 150 % of 200 ms."""
    (finding,) = found_in(P99, f"{FAST}\n{SLOW}")

    assert "150 % of 200 ms: rules 5 ms + llm 295 ms" in finding.why
    assert "`at_most: 300 ms` would hold" in finding.fix


@pytest.mark.parametrize("change", [", asynchronous: true", ", timeout: 150 ms"])
def test_an_overlay_or_a_timeout_keeps_a_slow_tier_in_time(change: str) -> None:
    """What comes after the reply, or is cut off, does not delay it."""
    assert found_in(P99, f"{FAST}\n{SLOW}{change}") == ()


def test_a_tier_that_hardly_anything_reaches_is_off_the_path() -> None:
    """p99 forgives one in a hundred."""
    assert found_in(P99, f"{FAST}\n{SLOW.replace('20 %', '0.9 %')}") == ()


def test_no_tier_is_cheap_enough() -> None:
    """The cheapest call decides."""
    (finding,) = found_in("cost: mean, at_most: $0.0005", FAST)

    assert "the cheapest machine, rules, costs $0.00100 a call" in finding.why


def test_people_count_in_the_expected_cost_unless_machines_alone_are_meant() -> None:
    """$0.001 + 1 % of $1 is $0.011."""
    (finding,) = found_in("cost: mean, at_most: $0.005", f"{FAST}\n{PERSON}")

    assert "220 % of $0.005" in finding.why
    assert "`at_most: $0.011` would hold" in finding.fix
    assert found_in("cost: mean, by: machines, at_most: $0.005", f"{FAST}\n{PERSON}") == ()


def test_more_people_are_asked_than_promised() -> None:
    """864,000 decisions a day, 1 % to people: 8,640."""
    (finding,) = found_in("people: reviews, at_most: 4000 / d", f"{FAST}\n{PERSON}")

    assert "216 % of 4000 / d" in finding.why
    assert "it breaks at 0.46x the declared traffic" in finding.why
    assert "`at_most: 8700 / d` would hold" in finding.fix


def test_a_queue_that_fills_faster_than_people_work_is_found_without_a_promise() -> None:
    """360 cases an hour reach people who take 100."""
    people = PERSON.replace("400 / h", "100 / h")

    (finding,) = found_in("latency: p99, at_most: 1 s", f"{FAST}\n{people}")

    assert "`person.capacity` is at 360 %" in finding.why
    assert "raise `person.capacity` 3.6 times" in finding.fix


def test_a_promised_rate_above_the_capacity_says_what_would_hold() -> None:
    """100 / s is what the rules take."""
    (finding,) = found_in("throughput: peak, at_least: 250 / s", FAST)

    assert "`at_least: 100 / s` would hold" in finding.fix


def test_every_tier_that_sends_data_away_breaks_a_residency() -> None:
    """One that stays is enough; the others are said to be left out."""
    away = "name: cloud, kind: llm, usd: $0.01, leaves_site: true"
    residency = "residency: personal_data, must_stay: on_site"

    broken = found_in(residency, away)
    mended = found_in(residency, f"{FAST}\n{away}")

    assert [finding.risk for finding in broken] == ["HIGH", "LOW"]
    assert [(finding.id, finding.risk) for finding in mended] == [("R4", "LOW")]


def test_a_tier_that_adapts_too_late_is_said_to_be_left_out() -> None:
    """It stays in the brief as the alternative that it is."""
    (finding,) = found_in(
        "adaptation: demand_shift, at_most: 1 h",
        f"{FAST}, adapts_in: 10 min\nname: daily, kind: model, usd: $0, adapts_in: 1 d",
    )

    assert (finding.id, finding.risk) == ("R4", "LOW")
    assert "daily out: it adapts in 1 d" in finding.why


def test_numbers_that_are_not_stated_break_nothing() -> None:
    """Unknown is not 0, and not infinite either."""
    assert found_in(P99, "name: rules, kind: rules") == ()


def test_a_sum_of_percentiles_that_is_barely_too_late_is_no_high_risk() -> None:
    """205 ms of 200 ms: the p95 of a sum is less than the sum of p95s."""
    (finding,) = found_in(P99, f"{FAST}\n{SLOW.replace('295', '200')}")

    assert (finding.id, finding.risk) == ("R3", "MEDIUM")


def test_a_tier_that_nobody_knows_to_be_reached_is_on_no_path() -> None:
    """An unknown reach is unknown, not 1."""
    assert found_in(P99, f"{FAST}\n{SLOW.replace(', reach: 20 %', '')}") == ()


def test_features_that_keep_a_freshness_are_held_to_it() -> None:
    """HIGH where the layer says so, MEDIUM where it may be about something else."""
    fresh = "freshness: prices, at_most: 1 min"
    features = "  features: {max_age: 1 h, keeps: [freshness_prices]}\n"
    tiers = f"    - {{{FAST}}}\n"
    head = f"feasible: 1\nname: x\ngoal: {{statement: x}}\nenvelope:\n  - {{{fresh}}}\nlayers:\n"

    (surely,) = screen(parse_brief(f"{head}{features}  tiers:\n{tiers}"))
    features = features.replace(", keeps: [freshness_prices]", "")
    (perhaps,) = screen(parse_brief(f"{head}{features}  tiers:\n{tiers}"))

    assert (surely.risk, perhaps.risk) == ("HIGH", "MEDIUM")


def test_a_cache_that_breaks_a_freshness_is_left_to_its_lint() -> None:
    """A9 says it at the cache, so the screen does not say it again."""
    cache = "name: cache, kind: cache, usd: $0, ttl: 1 d"

    assert found_in("freshness: prices, at_most: 1 min", cache) == ()


def test_a_deadline_after_every_promise_is_at_odds_with_them() -> None:
    """Nothing else would cut an answer off in time."""
    serving = "    - {" + FAST + "}\n  serving: {deadline: 1 s}\n"
    head = f"feasible: 1\nname: x\ngoal: {{statement: x}}\nenvelope:\n  - {{{P99}}}\nlayers:\n"

    (finding,) = screen(parse_brief(f"{head}  tiers:\n{serving}"))

    assert (finding.risk, finding.where) == ("MEDIUM", "brief.yaml:9")
    assert "`deadline: 200 ms`" in finding.fix


def test_a_peak_above_the_promised_throughput_is_at_odds_with_it() -> None:
    """10 / s times 5 is 50 / s, and 20 / s are promised."""
    (finding,) = found_in(
        "throughput: peak, at_least: 20 / s", FAST, traffic="{rate: 10 / s, peak: 5x}"
    )

    assert finding.risk == "MEDIUM"
    assert "`at_least: 50 / s`" in finding.fix
