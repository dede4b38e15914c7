"""The headroom table: which decisions and labels judge which promise, and what it then says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from feasible.clock import VirtualClock
from feasible.feedback import HeadroomTracker
from feasible.schema import (
    CertificateLine,
    DataUsed,
    Decision,
    Example,
    Forecast,
    HeadroomRow,
    Label,
    LatencyForecast,
    PathStep,
    Plan,
    PlanTier,
    TierKind,
    parse_brief,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BRIEF = parse_brief("""\
feasible: 1
name: questions
goal: {statement: Answer questions}
envelope:
  - {latency: p50, at_most: 10 ms, by: machines}
  - {latency: mean, at_most: 10 ms}
  - {cost: mean, at_most: $0.01, by: machines}
  - {cost: mean, at_most: $0.2}
  - {cost: each, at_most: $2}
  - {cost: day, at_most: $2000}
  - {quality: accuracy, on: known, at_least: 0.90}
  - {quality: accuracy, on: known, by: machines, at_least: 0.90}
  - {quality: recall, of: danger, on: danger, at_least: 0.90}
  - {quality: precision, of: fire, at_least: 0.5}
  - {people: reviews, on: known, at_most: 10 %}
  - {people: reviews, at_most: 600 / day}
  - {availability: answered, at_least: 90 %}
  - {freshness: new_answer, at_most: 30 min}
  - {throughput: peak, at_least: 500 / s}
  - {residency: personal_data, must_stay: on_site}
traffic: {rate: 6000 / day}
layers:
  tiers:
    - {name: model, kind: model, use: "tiers:Model", usd: $0.001}
    - {name: ann, kind: person, usd: $1.50, error_rate: 5 %}
""").brief


def tier(name: str, kind: TierKind, worst_usd: float) -> PlanTier:
    """Make a step of the plan."""
    return PlanTier(
        name=name,
        kind=kind,
        version="1",
        share=0.5,
        thresholds={"*": 0.5},
        groups={},
        calibrators={},
        latency_p50_ms=None,
        latency_p95_ms=None,
        cost_usd=worst_usd,
        worst_cost_usd=worst_usd,
    )


def shown(objective: str) -> CertificateLine:
    """Make a line that was certified below an enforced cap."""
    return CertificateLine(
        objective=objective,
        limit=1.0,
        unit="usd",
        is_ceiling=True,
        value=0.1,
        bound=0.1,
        n=100,
        misses=0.0,
        confidence_level=0.95,
        method="betting",
        assumption="",
        holds=True,
    )


PLAN = Plan(
    id="plan_1",
    feature="questions",
    brief_fingerprint="",
    made_at=NOON,
    tiers=(tier("model", TierKind.MODEL, 0.001), tier("ann", TierKind.PERSON, 1.5)),
    fallback={},
    deadline_ms=100.0,
    cost_each_usd=2.0,
    forecast=Forecast(
        cost_usd=None,
        cost_usd_machines=None,
        latency_ms=LatencyForecast(p50=None, p95=None, p99=None),
        quality={},
        people_share=0.1,
    ),
    certificate=(shown("cost_mean"), shown("cost_mean_machines")),
    data=DataUsed(name="", synthetic=True, fingerprint="", n_fit=1, n_search=1, n_cert=1, split=""),
)


def slices_of(value: Any) -> Iterable[str]:
    """Give the slices of a true value: everything but `else` is known, two classes are danger."""
    if value == "else":
        return ()
    return ("known", "danger") if value in {"fire", "smoke"} else ("known",)


def decision(name: str, answer: Any = "a", **changes: Any) -> Decision:
    """Make a decision of the model, at $0.001 and 5 ms; `answer=None` hands it to a person."""
    by_model = PathStep(tier="model", outcome="answered", latency_ms=5.0, cost_usd=0.001)
    to_ann = PathStep(tier="ann", outcome="handed_off", latency_ms=1.0, cost_usd=1.5)
    handed = answer is None
    fields: dict[str, Any] = {
        "decision_id": name,
        "at": NOON,
        "plan": "plan_1",
        "answer": answer,
        "probability": None if handed else 0.9,
        "tier": "ann" if handed else "model",
        "path": (by_model, to_ann) if handed else (by_model,),
        "cost_nusd": 1_501_000_000 if handed else 1_000_000,
        "latency_ms": 5.0,
        "handed_off": handed,
    }
    return Decision(**{**fields, **changes})


def label(name: str, value: Any = "a", **changes: Any) -> Label:
    """Make a label that a person gave at noon, as it came."""
    fields: dict[str, Any] = {"source": "human", "known_at": NOON}
    return Label(decision_id=name, value=value, **{**fields, **changes})


def tracker(*records: Decision | Label, at: datetime = NOON, **options: Any) -> HeadroomTracker:
    """Feed decisions and labels, in this order, to a tracker whose clock stands still."""
    made = HeadroomTracker(BRIEF, PLAN, slices_of=slices_of, clock=VirtualClock(at), **options)
    for record in records:
        if isinstance(record, Decision):
            made.add_decision(record)
        else:
            made.add_label(record)
    return made


def row_of(made: HeadroomTracker, objective: str) -> HeadroomRow:
    """Give one line of the table."""
    return next(row for row in made.rows() if row.objective == objective)


def pairs(n: int, *, wrong: int = 0, **changes: Any) -> list[Decision | Label]:
    """Make decisions with their labels, the first few of them wrong."""
    head = changes.pop("head", "d")
    out: list[Decision | Label] = []
    for i in range(n):
        name = f"{head}{i}"
        out += [decision(name, "b" if i < wrong else "a"), label(name, **changes)]
    return out


def test_every_objective_has_a_line_in_the_order_of_the_brief() -> None:
    """Before anything is known, nothing is claimed, and no number is made up."""
    rows = tracker().rows()
    assert [row.objective for row in rows] == [o.id for o in BRIEF.envelope]
    for row in rows:
        told = (row.value, row.interval, row.n, row.slack, row.headroom, row.holds)
        assert told == (None, None, 0, None, None, None)


def test_what_decisions_cannot_tell_says_what_could() -> None:
    """Freshness, throughput and residency stay unknown however many decisions there are."""
    rows = {row.objective: row for row in tracker(*pairs(50)).rows()}
    for name in ("freshness_new_answer", "throughput_peak", "residency_personal_data"):
        assert rows[name].value is None
        assert rows[name].note.startswith("not measured here: needs ")
    assert rows["residency_personal_data"].limit is None
    assert b'"limit":null' in msgspec.json.encode(rows["residency_personal_data"])


def test_nine_labels_of_twenty_nine_are_too_early() -> None:
    """Source: 0.9^29 = 0.047 <= 0.05 < 0.9^28; the fewest rows without a miss, by hand."""
    row = row_of(tracker(*pairs(9)), "accuracy_known_machines")
    assert row.note.startswith("too early to say: 9 of 29 labels")
    assert (row.value, row.slack, row.holds, row.n) == (None, None, None, 9)


def test_slack_of_a_floor_is_what_is_above_it() -> None:
    """95 right of 100 against 90 %: (0.95 - 0.90) / 0.90; exact limits from Clopper and Pearson."""
    row = row_of(tracker(*pairs(100, wrong=5)), "accuracy_known_machines")
    assert row.value == pytest.approx(0.95)
    assert row.slack == pytest.approx(0.05 / 0.90)
    assert row.interval == pytest.approx((beta.ppf(0.025, 95, 6), beta.ppf(0.975, 96, 5)))
    assert row.holds is None


def test_a_broken_floor_has_negative_slack() -> None:
    """40 right of 100 are below 90 % beyond doubt."""
    row = row_of(tracker(*pairs(100, wrong=60)), "accuracy_known_machines")
    assert (row.holds, row.note.split(";")[0]) == (False, "broken")
    assert row.slack == pytest.approx((0.4 - 0.9) / 0.9)


def test_a_hand_off_is_right_but_for_the_declared_error() -> None:
    """90 right answers, 2 wrong ones and 8 hand-offs at 5 %: 2.4 misses of 100."""
    hands = [r for i in range(8) for r in (decision(f"h{i}", None), label(f"h{i}"))]
    made = tracker(*pairs(92, wrong=2), *hands)
    row = row_of(made, "accuracy_known")
    assert row.value == pytest.approx(1 - (2 + 8 * 0.05) / 100)
    assert "8 hand-offs counted as right, but for 5.0 %; machines alone 97.8 %" in row.note
    assert row_of(made, "accuracy_known_machines").n == 92


def test_the_slice_is_known_from_the_label() -> None:
    """What turns out to be something else judges no promise about what is known."""
    made = tracker(*pairs(40), *pairs(10, head="e", value="else"))
    assert row_of(made, "accuracy_known_machines").n == 40


def test_recall_of_a_slice_asks_for_any_class_of_it() -> None:
    """Fire answered as smoke is recognised as danger; fire answered as `a` is not."""
    records = [decision("d0", "smoke"), decision("d1", "a"), decision("d2", None)]
    made = tracker(*records, *(label(f"d{i}", "fire") for i in range(3)), *pairs(40, head="n"))
    row = row_of(made, "recall_danger")
    assert row.n == 3
    assert row.interval is not None
    assert row.interval[1] < 1, "a miss was seen, and a person misses in part"


def test_precision_is_judged_on_answers_of_the_class() -> None:
    """Of three answers `fire` two were fire; other answers do not judge."""
    records = [decision(f"d{i}", "fire") for i in range(3)]
    truths = [label("d0", "fire"), label("d1", "fire"), label("d2", "a")]
    row = row_of(tracker(*records, *truths, *pairs(10, head="n")), "precision_fire")
    assert row.n == 3
    assert row.interval == pytest.approx((beta.ppf(0.025, 2, 2), beta.ppf(0.975, 3, 1)))


def test_picked_rows_and_proxies_never_enter_a_figure() -> None:
    """A hundred reviewed errors and a proxy change nothing but the note."""
    clean = row_of(tracker(*pairs(80)), "accuracy_known_machines")
    reviewed = pairs(100, wrong=100, head="r", selection="review")
    proxies = pairs(5, wrong=5, head="p", source="proxy")
    row = row_of(tracker(*pairs(80), *reviewed, *proxies), "accuracy_known_machines")
    assert (row.value, row.interval, row.n) == (clean.value, clean.interval, 80)
    assert "5 proxies not counted" in row.note
    assert "100 picked by review or exploration not counted" in row.note


def test_audits_judge_alone_when_there_are_enough() -> None:
    """29 audits are the fewest for 90 %: with them, organic labels stay out; with 28 they enter."""
    organic = pairs(100, wrong=50, head="o")
    enough = row_of(tracker(*organic, *pairs(29, selection="audit")), "accuracy_known_machines")
    assert (enough.value, enough.n) == (1.0, 29)
    assert "audited labels alone" in enough.note
    few = row_of(tracker(*organic, *pairs(28, selection="audit")), "accuracy_known_machines")
    assert few.n == 128
    assert "assumes that labels arrive at random" in few.note


def test_the_last_verdict_replaces_the_earlier_one() -> None:
    """A second look at one decision moves it from wrong to right, whichever comes in first."""
    later = label("d0", "b", known_at=NOON - timedelta(hours=1))
    first = label("d0", "a", known_at=NOON - timedelta(hours=2))
    records = [*pairs(40, head="n"), decision("d0", "b")]
    one, other = tracker(*records, first, later), tracker(*records, later, first)
    row = row_of(one, "accuracy_known_machines")
    assert (row.value, row.n) == (1.0, 41)
    assert row_of(other, "accuracy_known_machines") == row


def test_a_truth_that_leaves_the_slice_takes_its_row_along() -> None:
    """A correction to `else` means that the row was never one of the known."""
    made = tracker(*pairs(40), label("d0", "else", known_at=NOON, label_id="2"))
    assert row_of(made, "accuracy_known_machines").n == 39


def test_a_label_waits_for_its_decision_and_for_its_time() -> None:
    """A label before its decision is kept; one that is not known yet by the clock is held back."""
    clock = VirtualClock(NOON)
    made = HeadroomTracker(BRIEF, PLAN, slices_of=slices_of, clock=clock)
    made.add_label(label("d0"))
    assert "1 labelled decisions are not here" in row_of(made, "accuracy_known").note
    made.add_decision(decision("d0"))
    assert row_of(made, "accuracy_known").n == 1

    made.add_decision(decision("d1"))
    for _ in range(2):
        made.add_label(label("d1", known_at=NOON + timedelta(hours=1)))
    assert "1 not known yet by the clock" in row_of(made, "accuracy_known").note
    clock.advance(3600.0)
    assert row_of(made, "accuracy_known").n == 2


def test_decisions_of_another_plan_say_nothing() -> None:
    """A promise of this plan is not judged by what an earlier one did."""
    made = tracker(decision("d0", plan="plan_0"), label("d0"))
    assert row_of(made, "cost_mean").n == 0
    assert row_of(made, "accuracy_known").n == 0


def test_an_unknown_price_is_left_out_and_said() -> None:
    """Two decisions at $0.001 and one that nobody can price: the mean is $0.001 of two."""
    made = tracker(decision("d0"), decision("d1"), decision("d2", cost_nusd=None))
    row = row_of(made, "cost_mean_machines")
    assert (row.value, row.n) == (0.001, 2)
    assert "1 of unknown price left out" in row.note
    each = row_of(made, "cost_each")
    assert (each.value, each.holds) == (0.001, None), "the unknown one could be above the cap"


def test_an_enforced_cap_bounds_the_mean_from_the_first_decision_on() -> None:
    """The machines cannot cost more than $0.001, which is below $0.01; with people it is open."""
    made = tracker(decision("d0"), decision("d1", None))
    machines, everybody = row_of(made, "cost_mean_machines"), row_of(made, "cost_mean")
    assert (machines.value, machines.holds, machines.note) == (0.001, True, "holds")
    assert everybody.value == pytest.approx(0.751)
    assert everybody.holds is None


def test_a_price_a_day_grows_with_the_load() -> None:
    """$0.001 a decision at 6,000 a day is $6 a day; $2,000 are reached at 333 times the load."""
    made = tracker(*(decision(f"d{i}") for i in range(10)))
    row = row_of(made, "cost_day")
    assert row.value == pytest.approx(6.0)
    assert row.headroom == pytest.approx(2000 / 6)
    assert row.slack == pytest.approx((2000 - 6) / 2000)
    assert row_of(made, "cost_mean").headroom is None


def test_reviews_a_day_are_counted_on_all_decisions() -> None:
    """20 hand-offs of 400 at 6,000 decisions a day are 300 reviews a day, of 600 promised."""
    made = tracker(*(decision(f"d{i}", None if i < 20 else "a") for i in range(400)))
    row = row_of(made, "people_reviews")
    assert row.unit == "/ day"
    assert row.limit == pytest.approx(600.0)
    assert row.value == pytest.approx(300.0)
    assert row.headroom == pytest.approx(2.0)
    assert row.holds is True


def test_a_slice_that_decisions_state_needs_no_labels() -> None:
    """Once requests say that they are of the slice, every one of them judges people's share."""
    stated = [decision(f"d{i}", slices=("known",)) for i in range(60)]
    row = row_of(tracker(*stated, decision("x", None)), "people_reviews_known")
    assert (row.n, row.value, row.holds) == (60, 0.0, True)

    row = row_of(tracker(*pairs(40), decision("x", None)), "people_reviews_known")
    assert (row.n, row.value) == (40, 0.0)
    assert "the slice is known from labels alone" in row.note


def test_latency_of_machines_leaves_people_out() -> None:
    """Source: the median of 1..99 is 50; its exact interval at 95 % is the 40th to the 60th."""
    slow = [decision(f"h{i}", None, latency_ms=9999.0) for i in range(50)]
    fast = [decision(f"d{i}", latency_ms=float(i + 1)) for i in range(99)]
    made = tracker(*slow, *fast)
    row = row_of(made, "latency_p50_machines")
    assert (row.value, row.interval, row.n) == (50.0, (40.0, 60.0), 99)
    assert row.holds is False
    assert row.slack == pytest.approx(-4.0)
    mean = row_of(made, "latency_mean")
    assert mean.value == pytest.approx((50 * 9999 + 4950) / 149)
    assert "asymptotic" in mean.note


def test_availability_is_never_shown_by_decisions_alone() -> None:
    """Decisions can break it; requests that left none keep it open."""
    good = row_of(tracker(*(decision(f"d{i}") for i in range(500))), "availability_answered")
    assert (good.value, good.holds) == (1.0, None)
    assert "refused or lost leave none" in good.note
    late = [decision(f"d{i}", latency_ms=101.0) for i in range(50)]
    assert row_of(tracker(*late), "availability_answered").holds is False


def test_the_latest_decisions_make_the_figures_and_labels_outlive_them() -> None:
    """Ten decisions in a memory of four: old answers stay judged, and a ledger finds the others."""
    every = {f"d{i}": decision(f"d{i}", latency_ms=float(i)) for i in range(10)}
    made = tracker(every["d0"], label("d0"), *list(every.values())[1:], most=4, find=every.get)
    made.add_label(label("d1"))
    assert row_of(made, "latency_mean").value == pytest.approx(7.5)
    assert "the latest 4 decisions" in row_of(made, "latency_mean").note
    assert row_of(made, "accuracy_known").n == 2

    blind = tracker(*every.values(), label("d1"), most=4)
    assert row_of(blind, "accuracy_known").n == 0


def test_a_loss_of_the_feature_s_own_is_asked() -> None:
    """Half-right answers make a mean of losses, not a count of misses."""

    def half(example: Example, answer: Any) -> float:
        return 0.0 if answer == example.label else 0.5 if example.request["hard"] else math.nan

    records: list[Decision | Label] = []
    for i in range(60):
        name, hard = f"d{i}", i < 40
        records += [decision(name, "a" if i < 30 else "b", request={"hard": hard}), label(name)]
    row = row_of(tracker(*records, loss=half), "accuracy_known_machines")
    assert row.n == 40
    assert row.value == pytest.approx(1 - 10 * 0.5 / 40)


RECORDS = st.one_of(
    st.builds(
        decision,
        st.sampled_from(["d0", "d1", "d2", "d3"]),
        st.just("a"),
    ),
    st.builds(
        label,
        st.sampled_from(["d0", "d1", "d2", "d4"]),
        st.sampled_from(["a", "b", "fire", "else"]),
        source=st.sampled_from(["proxy", "human", "outcome"]),
        selection=st.sampled_from(["organic", "audit", "review"]),
        known_at=st.sampled_from([NOON + timedelta(hours=hour) for hour in (-2, -1, 1)]),
    ),
)


@settings(max_examples=40)
@given(st.lists(RECORDS, max_size=12), st.randoms())
def test_order_and_repeats_make_no_difference(records: list[Decision | Label], random: Any) -> None:
    """A rebuilt table is the table that was, to the last digit."""
    mixed = records * 2
    random.shuffle(mixed)
    one, other = tracker(*records).rows(), tracker(*mixed).rows()
    assert [msgspec.json.encode(row) for row in one] == [msgspec.json.encode(r) for r in other]


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """100 streams of 300 decisions with known rates: each interval at 95 % may fail by luck only.

    The limit is the number of failures that is exceeded once in ten thousand such tests.
    """
    seed = 20_261_123
    print(f"seed {seed}")  # noqa: T201  a failure can be repeated
    rng = np.random.default_rng(seed)
    handed, right, inside = 0.08, 0.93, 0.8
    truth = {
        "accuracy_known": (1 - handed) * right + handed * 0.95,
        "accuracy_known_machines": right,
        "people_reviews_known": handed,
        "people_reviews": handed * 6000,
        "latency_p50_machines": math.exp(1.5),
        "latency_mean": math.exp(1.5 + 0.25**2 / 2),
        "cost_mean": 0.001 + handed * 1.5,
        "availability_answered": 1.0,
    }
    failures = dict.fromkeys(truth, 0)
    runs = 100
    for _ in range(runs):
        made = tracker()
        for i in range(300):
            name, value = f"d{i}", "a" if rng.random() < inside else "else"
            answer = None if rng.random() < handed else value if rng.random() < right else "b"
            made.add_decision(decision(name, answer, latency_ms=rng.lognormal(1.5, 0.25)))
            if rng.random() < 0.5:
                made.add_label(label(name, value, selection="audit"))
        for row in made.rows():
            if row.objective in truth:
                assert row.interval is not None
                low, high = row.interval
                failures[row.objective] += not low - 1e-9 <= truth[row.objective] <= high + 1e-9
    most = int(binom.ppf(1 - 1e-4, runs, 0.05))
    assert {name: n for name, n in failures.items() if n > most} == {}
