"""Each objective becomes losses of rows at exits, by hand-made tables small enough to check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feasible.errors import DataError
from feasible.planning.constraint import Constraint, Exits, unjudged
from feasible.planning.traffic_mix import mix_weights
from feasible.planning.yardstick import constraints
from feasible.schema import Brief, Profile, parse_brief

HEAD = "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"


def brief(*objectives: str, rest: str = "") -> Brief:
    """Make a brief of these objectives."""
    return parse_brief(HEAD + "".join(f"  - {{{o}}}\n" for o in objectives) + rest).brief


def rows() -> Profile:
    """Six rows and one machine; the fifth has no label, the last two are in slice `risky`."""
    return Profile(
        row_ids=tuple("abcdef"),
        tiers=("m",),
        loss=np.array([[0.0], [1.0], [0.0], [0.0], [np.nan], [1.0]]),
        answered=np.ones((6, 1), dtype=np.bool_),
        score=np.full((6, 1), np.nan),
        answer_class=np.array([[0], [0], [1], [1], [0], [1]]),
        classes=("fraud", "fine"),
        latency_ms=np.array([[10.0], [20.0], [30.0], [40.0], [50.0], [60.0]]),
        cost_usd=np.full((6, 1), 0.1),
        slices={"risky": np.array([False] * 4 + [True] * 2)},
        label=("fraud", "fine", "fine", "fine", None, "fraud"),
    )


def exits(profile: Profile, *, person_loss: float = 0.0) -> Exits:
    """Give two exits: the machine, and a person after it who costs $1."""
    n = len(profile)
    labelled = np.array([label is not None for label in profile.label or ()])
    return Exits(
        loss=np.hstack([profile.loss, np.full((n, 1), person_loss)]),
        latency_ms=np.hstack([profile.latency_ms, profile.latency_ms + 1]),
        cost_usd=np.hstack([profile.cost_usd, profile.cost_usd + 1]),
        machine_usd=np.hstack([profile.cost_usd, profile.cost_usd]),
        answer_class=np.hstack([profile.answer_class, np.full((n, 1), -1)]),
        is_open=np.ones((n, 2), dtype=np.bool_),
        is_person=np.tile([False, True], (n, 1)),
        labelled=labelled,
        last_tier=("person",) * n,
        person_loss=person_loss,
        worst_usd=1.1,
        worst_machine_usd=0.1,
    )


def only(objective: str, *, rest: str = "", person_loss: float = 0.0) -> Constraint:
    """Give the one constraint of an objective."""
    (found,) = constraints(
        brief(objective, rest=rest), rows(), exits(rows(), person_loss=person_loss)
    )
    return found


MACHINE, PERSON = np.zeros(6, dtype=np.int64), np.ones(6, dtype=np.int64)
MIXED = np.array([0, 1, 0, 1, 1, 1])


def test_accuracy_counts_labelled_rows_only_also_when_a_person_takes_them() -> None:
    """A row that nobody has labelled says nothing about quality, whoever answers it."""
    found = only("quality: accuracy, at_least: 0.9")

    assert (found.n(MACHINE), found.misses(MACHINE)) == (5, 2)
    assert (found.n(PERSON), found.misses(PERSON)) == (5, 0)
    assert found.limit == pytest.approx(0.1)
    assert found.is_binary


def test_a_persons_error_rate_is_a_loss_that_is_not_all_or_nothing() -> None:
    """Four of five labelled rows at a 2 % error rate and one right machine answer."""
    found = only("quality: accuracy, at_least: 0.9", person_loss=0.02)

    assert found.misses(np.array([0, 1, 1, 1, 1, 1])) == pytest.approx(0.08)
    assert found.person_rate == 0.02
    assert not found.is_binary


def test_judged_by_machines_leaves_hand_offs_out_of_the_ratio() -> None:
    """Of the two rows that the machine keeps, both are right."""
    found = only("quality: accuracy, by: machines, at_least: 0.9")

    assert (found.n(MIXED), found.misses(MIXED)) == (2, 0)


def test_recall_of_a_class_is_over_its_rows() -> None:
    """Two labelled frauds; the machine calls the first fraud and the second fine."""
    found = only("quality: recall, of: fraud, at_least: 0.9")

    assert (found.n(MACHINE), found.misses(MACHINE)) == (2, 1)
    assert (found.n(PERSON), found.misses(PERSON)) == (2, 0)


def test_recall_on_a_slice_is_over_the_slices_labelled_rows() -> None:
    """One of the two risky rows is labelled, and the machine has it wrong."""
    found = only("quality: recall, on: risky, at_least: 0.9")

    assert (found.n(MACHINE), found.misses(MACHINE)) == (1, 1)


def test_precision_is_over_answers_of_the_class() -> None:
    """Labelled answers `fraud`: rows a and b, of which b is wrong."""
    found = only("quality: precision, of: fraud, at_least: 0.9")

    assert (found.n(MACHINE), found.misses(MACHINE)) == (2, 1)


def test_any_bounded_score_is_one_minus_its_mean_loss() -> None:
    """A task's own score is judged by the losses as they stand."""
    found = only("quality: f1_score, at_least: 0.7")

    assert found.value(MACHINE) == pytest.approx(2 / 5)


def test_a_percentile_is_a_share_of_rows_over_the_limit() -> None:
    """Two of six rows take longer than 40 ms; p90 allows one in ten. Labels do not matter."""
    found = only("latency: p90, at_most: 40 ms")

    assert (found.n(MACHINE), found.misses(MACHINE)) == (6, 2)
    assert found.limit == pytest.approx(0.1)


def test_mean_cost_is_on_the_scale_of_the_dearest_decision() -> None:
    """Half of the rows handed over at $1 more: $0.60 to $0.10 + 4/6."""
    found = only("cost: mean, at_most: $0.55")

    value = found.value(MIXED)
    assert value is not None
    assert value * found.scale == pytest.approx(0.1 + 4 / 6)
    assert found.limit * found.scale == pytest.approx(0.55)
    assert found.is_bounded


def test_cost_by_machines_leaves_peoples_prices_out() -> None:
    """Every row pays the machine."""
    found = only("cost: mean, by: machines, at_most: $0.05")

    value = found.value(MIXED)
    assert value is not None
    assert value * found.scale == pytest.approx(0.1)


def test_cost_a_day_becomes_a_price_per_decision_by_the_rate() -> None:
    """$8,640 a day at one a second is ten cents each; limit and value are both in $ a day."""
    found = only("cost: day, at_most: $8640", rest="traffic: {rate: 1 / s}\n")

    value = found.value(MACHINE)
    assert value is not None
    assert found.limit * found.scale == pytest.approx(8640)
    assert value * found.scale == pytest.approx(0.1 * 86_400)
    assert found.decisions == 86_400


def test_hand_offs_a_day_are_counted_a_day() -> None:
    """Four of six rows at one decision a second are 57,600 a day."""
    found = only("people: reviews, at_most: 500 / d", rest="traffic: {rate: 1 / s}\n")

    value = found.value(MIXED)
    assert value is not None
    assert found.limit * found.scale == pytest.approx(500)
    assert found.unit == "/ day"
    assert value * found.scale == pytest.approx(57_600)


def test_cost_a_day_without_a_rate_is_refused() -> None:
    """Nobody can turn a day's price into one per decision."""
    with pytest.raises(DataError, match="needs the traffic's rate"):
        only("cost: day, at_most: $100")


def test_cost_each_allows_no_row_above_the_cap() -> None:
    """Four hand-offs cost $1.10."""
    found = only("cost: each, at_most: $0.5")

    assert (found.limit, found.misses(MIXED)) == (0.0, 4)


def test_people_are_a_share_of_decisions() -> None:
    """Four of six rows."""
    assert only("people: reviews, at_most: 10 %").value(MIXED) == pytest.approx(4 / 6)


def test_a_declared_mix_weighs_rows_by_their_slice() -> None:
    """Risky rows are half of traffic: the one that is labelled weighs as much as the other four."""
    mix = "traffic: {slices: {risky: 50 %}}\n"
    found = only("quality: accuracy, at_least: 0.9", rest=mix)

    assert found.value(MACHINE) == pytest.approx(0.5 * 1 / 4 + 0.5 * 1)
    assert found.is_weighted
    # Latency is judged on all six rows, of which two are risky.
    late = only("latency: p90, at_most: 55 ms", rest=mix)
    assert late.value(MACHINE) == pytest.approx(0.25)


def test_a_slices_own_promise_is_not_weighed() -> None:
    """Within a slice every row counts the same."""
    mix = "traffic: {slices: {risky: 50 %}}\n"

    assert not only("quality: accuracy, on: risky, at_least: 0.9", rest=mix).is_weighted


def test_overlapping_slices_are_weighed_once() -> None:
    """The first declared slice keeps its share; one that overlaps it is passed over."""
    profile = rows()
    profile.slices["all"] = np.ones(6, dtype=np.bool_)
    one = brief(
        "people: reviews, at_most: 1 %", rest="traffic: {slices: {risky: 50 %, all: 9 %}}\n"
    )

    weight = mix_weights(one, profile)

    assert weight[profile.slices["risky"]].sum() == pytest.approx(3.0)


def test_what_rows_cannot_judge_is_listed_with_the_reason() -> None:
    """Nothing that is promised is dropped in silence."""
    listed = dict(
        unjudged(brief("throughput: peak, at_least: 5 / s", "delivery: first, at_most: 2 d"))
    )

    assert "load decides it" in listed["throughput_peak"]
    assert "not ready in time are left out" in listed["delivery_first"]


def test_excesses_are_below_the_limit_exactly_when_the_ratio_is() -> None:
    """With weights, the mean of what is tested says the same as the ratio of means."""
    mix = "traffic: {slices: {risky: 50 %}}\n"
    found = only("quality: accuracy, at_least: 0.9", rest=mix)

    excess, masses = found.excesses(MACHINE), found.masses(MACHINE)

    assert ((excess >= 0) & (excess <= 1)).all()
    ratio = found.value(MACHINE)
    assert ratio is not None
    assert excess.mean() - found.limit == pytest.approx(
        (ratio - found.limit) * masses.mean() / masses.max()
    )


JOINT = "joint: right_in_time, at_least: 0.9, within:"
ANSWERS_IN = "layers: {tiers: [{name: ann, kind: person, answer_within: 5 ms}]}"


def test_right_and_in_time_is_missed_by_what_is_wrong_and_by_what_is_late() -> None:
    """Of five labelled rows b and f are wrong, and f, at 60 ms, is late too, as is d at 40 ms."""
    found = only(f"{JOINT} 35 ms")

    assert (found.n(MACHINE), found.misses(MACHINE)) == (5, 3)
    assert found.is_binary
    assert only(f"{JOINT} 60 ms").misses(MACHINE) == 2


def test_a_person_of_whom_no_time_is_declared_is_late() -> None:
    """A hand-off is acknowledged at once; its answer is not there then."""
    found = only(f"{JOINT} 10 s", person_loss=0.02)

    assert found.misses(PERSON) == 5
    assert found.person_rate is None
    assert found.is_binary


def test_a_person_who_answers_in_time_is_wrong_at_the_declared_rate() -> None:
    """Handed over after 11 to 61 ms and answered 5 ms later: those up to 30 ms are in time."""
    found = only(f"{JOINT} 40 ms", rest=ANSWERS_IN, person_loss=0.02)

    assert found.misses(PERSON) == pytest.approx(2 + 3 * 0.02)
    assert found.person_rate == 0.02
    assert found.by_person[:, 1].tolist() == [True] * 3 + [False] * 3


def test_right_and_in_time_by_machines_leaves_hand_offs_out() -> None:
    """Of the two rows that the machine keeps one is late."""
    found = only(f"{JOINT} 20 ms, by: machines")

    assert (found.n(MIXED), found.misses(MIXED)) == (2, 1)


def test_an_answer_of_unknown_time_is_late() -> None:
    """What nobody timed was not shown to be in time."""
    profile = rows()
    timed = profile.latency_ms.copy()
    timed[0] = np.nan
    unknown = exits(replace(profile, latency_ms=timed))

    (found,) = constraints(brief(f"{JOINT} 35 ms"), profile, unknown)

    assert found.misses(MACHINE) == 4


def test_a_loss_of_the_features_own_misses_in_part() -> None:
    """An answer that is half wrong and in time misses by a half."""
    profile = rows()
    half = exits(replace(profile, loss=profile.loss / 2))

    (found,) = constraints(brief(f"{JOINT} 35 ms"), profile, half)

    assert found.misses(MACHINE) == pytest.approx(2.5)
    assert not found.is_binary


def test_abstention_is_the_share_that_nobody_answers() -> None:
    """Past the machine nobody answers a and b; the others have a person, whom nobody labels."""
    silent = exits(rows())
    silent.is_person[:2, 1] = False
    silent = replace(silent, last_tier=(None, None, *("person",) * 4))

    (found,) = constraints(brief("abstention: share, at_most: 50 %"), rows(), silent)

    assert (found.n(MACHINE), found.misses(MACHINE)) == (6, 0)
    assert (found.n(PERSON), found.misses(PERSON)) == (6, 2)
    assert found.limit == 0.5
    assert found.is_binary
