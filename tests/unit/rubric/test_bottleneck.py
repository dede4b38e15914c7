"""The closed-form guess names what binds first, and says how sure it can be."""

from __future__ import annotations

import pytest

from feasible.rubric import guess_bottleneck
from feasible.schema import Brief, parse_brief

# 60 requests a second; 30 % are cached, 60 % of the rest leave the rules, half of those the small
# model: 21 % reach the LLM.
WORKED = """
feasible: 1
name: worked
goal: {statement: x}
envelope:
  - {cost: day, at_most: $12000}
traffic: {rate: 60 / s, peak: 1x}
layers:
  tiers:
    - {name: cache, kind: cache, usd: $0, ttl: 1 h}
    - {name: rules, kind: rules, usd: $0, reach: 0.7}
    - {name: small, kind: model, usd: $0, reach: 0.42}
    - {name: llm, kind: llm, usd: $0.004, reach: 0.21, concurrency: 24, latency_p95: 400 ms}
    - {name: person, kind: person, usd: $0, reach: 0.002, capacity: 1500 / h}
"""


def worked(written: str = "", instead: str = "") -> Brief:
    """Give the worked case, with one part changed."""
    assert written in WORKED
    return parse_brief(WORKED.replace(written, instead, 1) if written else WORKED).brief


def test_the_worked_case_comes_out_as_in_the_design() -> None:
    """The budget breaks at 2.76x, the people at 3.47x, the LLM's slots at 4.76x, by hand."""
    guess = guess_bottleneck(worked())

    headroom = {row.name: row.headroom for row in guess.rows}
    assert headroom == {
        "cost_day": pytest.approx(12_000 / (60 * 0.21 * 86_400 * 0.004), abs=1e-3),
        "person.capacity": pytest.approx(1500 / (60 * 0.002 * 3600), abs=1e-3),
        "capacity": pytest.approx(24 / (60 * 0.21 * 0.4), abs=1e-3),
    }
    assert [round(value or 0, 2) for value in headroom.values()] == [2.76, 3.47, 4.76]


def test_the_vendor_limit_of_the_worked_case_is_further_off() -> None:
    """4,800 calls a minute are enough for 6.35x."""
    limited = worked("concurrency: 24, latency_p95: 400 ms", "capacity: 4800 / min")

    headroom = {row.name: row.headroom for row in guess_bottleneck(limited).rows}

    assert headroom["capacity"] == pytest.approx(6.35, abs=0.005)


def test_the_most_used_tier_is_not_the_bottleneck() -> None:
    """A budget is moved by price and reach, with elasticity 1, and by no capacity at all."""
    guess = guess_bottleneck(worked())

    assert guess.first == "cost_day"
    assert guess.knob == "llm.usd"
    assert guess.elasticity == pytest.approx(1)
    assert guess.runner_up is not None
    assert guess.runner_up.knob == "llm.reach"
    assert guess.runner_up.elasticity == pytest.approx(1)


def test_a_saturated_tier_is_moved_by_its_capacity_one_to_one() -> None:
    """Elasticity 1 for the slots of the tier that fills up first."""
    guess = guess_bottleneck(worked("concurrency: 24", "concurrency: 6"))

    assert guess.first == "capacity"
    assert guess.elasticity == pytest.approx(1)
    assert "6 calls in flight" in guess.rows[0].basis


def test_a_better_cache_moves_a_reach_that_is_not_stated() -> None:
    """Without a stated reach, what the cache has not seen reaches the next tier."""
    brief = parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: x}\n"
        "envelope:\n  - {cost: mean, at_most: $0.001}\ntraffic: {repeated: 40 %}\n"
        "layers:\n  tiers:\n    - {name: cache, kind: cache, usd: $0, ttl: 1 h}\n"
        "    - {name: llm, kind: llm, usd: $0.001}\n"
    ).brief

    guess = guess_bottleneck(brief)

    # 0.60 of the limit, and 0.50 once half of the requests are repeats.
    assert guess.runner_up is not None
    assert guess.runner_up.knob == "traffic.repeated"
    assert guess.runner_up.elasticity == pytest.approx(0.817, abs=1e-3)


@pytest.mark.parametrize(
    ("named", "agrees"),
    [
        ("llm.usd", True),
        ("llm.reach", True),
        ("llm", True),
        ("llm.concurrency", False),
        ("person.capacity", False),
        ("team spirit", None),
    ],
)
def test_the_named_bottleneck_is_compared(named: str, agrees: bool | None) -> None:  # noqa: FBT001
    """A tie counts, a tier stands for its best knob, and free words cannot be compared."""
    brief = parse_brief(f"{WORKED}bottleneck: {{knob: {named}}}\n").brief

    guess = guess_bottleneck(brief)

    assert guess.brief_names == named
    assert guess.agrees is agrees
    assert ("agrees" in guess.sentence) == (agrees is True)


def test_where_no_knob_helps_the_answer_is_structural() -> None:
    """Thirty tiers of 10 ms each: no single one of them moves their sum by much."""
    tiers = "".join(
        f"    - {{name: t{i}, kind: rules, latency_p95: 10 ms, reach: 1}}\n" for i in range(30)
    )
    brief = parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: x}\nenvelope:\n"
        f"  - {{latency: p99, at_most: 310 ms}}\nlayers:\n  tiers:\n{tiers}"
    ).brief

    guess = guess_bottleneck(brief)

    assert guess.first == "latency_p99"
    assert guess.knob is None
    assert "change the limit or the tier" in guess.sentence


def test_ranges_give_a_chance_and_name_the_one_that_matters() -> None:
    """A price of $0.0055 to $0.0220 around a limit of $0.011 holds in half of the draws."""
    ranged = parse_brief(
        WORKED.replace("usd: $0.004", "usd: $0.0055..$0.0220")
        .replace("cost: day, at_most: $12000", "cost: mean, at_most: $0.00231")
        .replace("reach: 0.002", "reach: 0.19..0.21 %")
    ).brief

    guess = guess_bottleneck(ranged, draws=2000, seed=4)

    assert guess.p_holds == pytest.approx(0.5, abs=0.01)
    assert guess.matters_most == "llm.usd"
    assert (guess.draws, guess.seed) == (2000, 4)
    assert guess == guess_bottleneck(ranged, draws=2000, seed=4)


def test_without_ranges_there_is_no_chance_to_speak_of() -> None:
    """And no number is made up for it."""
    guess = guess_bottleneck(worked())

    assert (guess.p_holds, guess.p_first, guess.matters_most, guess.draws) == (None, None, None, 0)


def test_without_numbers_nothing_binds() -> None:
    """The guess says which numbers would help, and which objectives it cannot speak about."""
    brief = parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: x}\nenvelope:\n  - {latency: p99, at_most: 1 s}\n"
    ).brief

    guess = guess_bottleneck(brief)

    assert (guess.first, guess.knob, guess.rows) == (None, None, ())
    assert guess.unknown == ("latency_p99",)
    assert "state usd, reach, latency_p95 and capacity" in guess.sentence
