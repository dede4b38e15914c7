"""Unknown prices and latencies are filled in only where that is safe, and never taken to be 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feasible.errors import DataError
from feasible.planning.gaps import filled
from feasible.planning.leftout import usable_tiers
from feasible.schema import Brief, Profile, parse_brief


def brief(tiers: str = "") -> Brief:
    """Make a brief with a price and a latency promise."""
    return parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
        "  - {latency: p95, at_most: 1 s}\n  - {cost: mean, at_most: $1}\n" + tiers
    ).brief


def rows() -> Profile:
    """Four rows; the tier abstains from the last, whose price nobody logged."""
    return Profile(
        row_ids=tuple("abcd"),
        tiers=("m",),
        loss=np.array([[0.0], [1.0], [0.0], [np.nan]]),
        answered=np.array([[True], [True], [True], [False]]),
        score=np.full((4, 1), np.nan),
        answer_class=np.full((4, 1), -1),
        classes=(),
        latency_ms=np.array([[1.0], [2.0], [3.0], [np.nan]]),
        cost_usd=np.array([[0.1], [0.1], [0.4], [np.nan]]),
    )


def test_an_abstention_is_taken_to_cost_the_tiers_mean_and_that_is_said() -> None:
    """(0.1 + 0.1 + 0.4) / 3 dollars and 2 ms."""
    profile, notes = filled(brief(), {}, rows())

    assert profile.cost_usd[3, 0] == pytest.approx(0.2)
    assert profile.latency_ms[3, 0] == pytest.approx(2.0)
    assert len(notes) == 2


def test_a_declared_price_fills_every_gap() -> None:
    """The brief says what a call costs."""
    one = brief("layers: {tiers: [{name: m, kind: model, usd: $0.3}]}\n")
    blank = replace(rows(), cost_usd=np.full((4, 1), np.nan))

    profile, notes = filled(one, {t.name: t for t in one.layers.tiers}, blank)

    assert (profile.cost_usd == 0.3).all()
    assert "declared price" in notes[0]


def test_an_answer_at_an_unknown_price_is_refused() -> None:
    """The error names the tier, the row and how many there are."""
    bad = rows()
    bad.cost_usd[1, 0] = np.nan

    with pytest.raises(DataError, match=r"cost_usd of tier `m` is unknown for row 'b'") as error:
        filled(brief(), {}, bad)
    assert error.value.found == "1 of 3 answered rows without it"


def test_a_tier_with_an_answer_at_an_unknown_price_is_left_out_where_others_can_be_used() -> None:
    """No price is made up for it, and the others are planned with."""
    bad = rows()
    two = replace(
        bad,
        tiers=("m", "other"),
        loss=np.repeat(bad.loss, 2, axis=1),
        answered=np.repeat(bad.answered, 2, axis=1),
        score=np.repeat(bad.score, 2, axis=1),
        answer_class=np.repeat(bad.answer_class, 2, axis=1),
        latency_ms=np.repeat(bad.latency_ms, 2, axis=1),
        cost_usd=np.repeat(bad.cost_usd, 2, axis=1),
    )
    two.cost_usd[1, 0] = np.nan

    profile, notes = filled(brief(), {}, two)
    usable, left_out = usable_tiers(brief(), {}, profile)

    assert usable == ("other",)
    assert left_out[0].tier == "m"
    assert any("left out" in note and "'b'" in note for note in notes)


def test_a_tier_without_any_price_is_left_out_and_not_taken_to_be_free() -> None:
    """A promise about cost needs every tier's price."""
    blank = replace(rows(), cost_usd=np.full((4, 1), np.nan))

    usable, left_out = usable_tiers(brief(), {}, filled(brief(), {}, blank)[0])

    assert usable == ()
    assert "price is unknown" in left_out[0].because


def test_a_tier_without_any_latency_is_left_out_where_latency_is_promised() -> None:
    """Nobody can say whether it is in time."""
    blank = replace(rows(), latency_ms=np.full((4, 1), np.nan))

    usable, left_out = usable_tiers(brief(), {}, filled(brief(), {}, blank)[0])

    assert usable == ()
    assert "latency is unknown" in left_out[0].because


def test_tiers_that_come_too_late_or_send_data_away_are_left_out_with_their_price() -> None:
    """Delivery, adaptation and residency are judged from the brief, before any row is looked at."""
    one = parse_brief("""\
feasible: 1
name: x
goal: {statement: s}
envelope:
  - {delivery: first_version, at_most: 2 weeks}
  - {adaptation: new_pattern, at_most: 7 d}
  - {residency: personal_data, must_stay: on_site}
layers:
  tiers:
    - {name: late, kind: model, usd: $0.1, ready_in: 30 d}
    - {name: slow, kind: model, adapts_in: 30 d}
    - {name: away, kind: llm, leaves_site: true}
    - {name: fake, kind: llm}
    - {name: good, kind: rules, ready_in: 1 d, adapts_in: 1 d}
""").brief
    names = tuple(tier.name for tier in one.layers.tiers)
    wide = Profile(
        row_ids=("a",),
        tiers=names,
        loss=np.zeros((1, 5)),
        answered=np.ones((1, 5), dtype=np.bool_),
        score=np.full((1, 5), np.nan),
        answer_class=np.full((1, 5), -1),
        classes=(),
        latency_ms=np.ones((1, 5)),
        cost_usd=np.ones((1, 5)),
        simulated=frozenset({"fake"}),
    )

    usable, left_out = usable_tiers(one, {t.name: t for t in one.layers.tiers}, wide)

    why = {left.tier: left.because for left in left_out}
    assert usable == ("good",)
    assert "ready in" in why["late"]
    assert "$0.1" in why["late"]
    assert "adapted in" in why["slow"]
    assert "off site" in why["away"]
    assert "simulated" in why["fake"]


def test_nothing_is_learnt_from_the_rows_that_judge() -> None:
    """What an abstention takes is the mean of the other rows alone."""
    latency = rows().latency_ms.copy()
    known = np.flatnonzero(~np.isnan(latency[:, 0]))
    latency[known[-1], 0] = 1e6

    profile, _ = filled(brief(), {}, replace(rows(), latency_ms=latency), judging=known[-1:])

    gaps = np.isnan(rows().latency_ms[:, 0])
    assert gaps.any()
    assert profile.latency_ms[gaps, 0].max() < 1e5
