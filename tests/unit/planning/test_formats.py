from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from feasible.errors import DataError
from feasible.planning.formats import compare_formats, formats_of, paired_difference
from feasible.schema import Brief, Profile, parse_brief


def profile(
    *,
    loss: Sequence[Sequence[float]],
    latency_ms: Sequence[Sequence[float]] | None = None,
    cost_usd: Sequence[Sequence[float]] | None = None,
    given: Sequence[Sequence[int]] | None = None,
    is_test: Sequence[bool] | None = None,
    tiers: tuple[str, ...] = ("int8", "fp32"),
    simulated: frozenset[str] = frozenset(),
) -> Profile:
    """Give rows by two formats; what is not given is unknown."""
    losses = np.array(loss, dtype=np.float64)
    unknown = np.full(losses.shape, np.nan)
    return Profile(
        row_ids=tuple(f"r{i}" for i in range(len(losses))),
        tiers=tiers,
        loss=losses,
        answered=~np.isnan(losses),
        score=unknown,
        answer_class=np.full(losses.shape, -1) if given is None else np.array(given),
        classes=("a", "b"),
        latency_ms=unknown if latency_ms is None else np.array(latency_ms, dtype=np.float64),
        cost_usd=unknown if cost_usd is None else np.array(cost_usd, dtype=np.float64),
        is_test=None if is_test is None else np.array(is_test),
        simulated=simulated,
    )


def test_the_interval_of_a_paired_difference_is_newcombes() -> None:
    """Cavo et al. (2012): 59, 6, 16 and 80 patients.

    Golden: Fagerland, Lydersen and Laake (2017), Statistical Analysis of Contingency Tables,
    chapter 8, as tests of their R package `contingencytables` have it: -0.0621 (-0.1186, -0.0046).
    """
    found = paired_difference(59, 6, 16, 80, confidence_level=0.95)

    assert found.value == pytest.approx(-0.0621, abs=5e-5)
    assert found.low == pytest.approx(-0.1186, abs=5e-5)
    assert found.high == pytest.approx(-0.0046, abs=5e-5)


def test_without_a_difference_the_interval_still_has_a_width() -> None:
    """Ten rows right twice: by hand, 1 - 1 / (1 + z2 / 10) with z2 = 1.959964 squared = 3.841459.

    Wilson's reach below 1 is z2 / (10 + z2) = 0.277533 and above it 0; no margin, no correlation.
    """
    found = paired_difference(10, 0, 0, 0, confidence_level=0.95)

    assert (found.value, found.low, found.high) == pytest.approx((0, -0.277533, 0.277533), abs=1e-6)


def test_the_first_less_the_second_changes_its_sign_with_their_order() -> None:
    """The same rows, told the other way round."""
    one = paired_difference(50, 9, 3, 8, confidence_level=0.9)
    other = paired_difference(50, 3, 9, 8, confidence_level=0.9)

    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_no_rows_have_no_difference() -> None:
    """The error says how many were found."""
    with pytest.raises(ValueError, match="found 0 rows"):
        paired_difference(0, 0, 0, 0, confidence_level=0.95)


def test_latency_saved_is_the_paired_t_interval_of_the_logarithms() -> None:
    """Three rows that take 1/2, 1/2 and 1/4 of the time, whatever their length.

    By hand: mean of ln 1/2, ln 1/2, ln 1/4 = -(4/3) ln 2 = -0.924196; deviation ln 2 / sqrt 3 =
    0.400189; t at 0.975 with 2 degrees of freedom 4.302653; reach 4.302653 * 0.400189 / sqrt 3 =
    0.994119. Saved 1 - exp(-0.924196) = 0.603150, from 1 - exp(0.069923) to 1 - exp(-1.918315).
    """
    rows = profile(loss=[[0, 0]] * 3, latency_ms=[[1, 2], [10, 20], [3, 12]])

    (found,) = compare_formats(rows, ("int8", "fp32"))

    assert found.n_timed == 3
    saved = found.latency_saved
    assert saved is not None
    assert saved.value == pytest.approx(0.603150, abs=1e-5)
    assert saved.low == pytest.approx(-0.072426, abs=1e-5)
    assert saved.high == pytest.approx(0.853146, abs=1e-5)


def test_a_timed_call_that_many_rows_borrow_is_counted_once() -> None:
    """The same two calls a hundred times over say no more than two calls, and far less than 200."""
    few = profile(loss=[[0, 0]] * 2, latency_ms=[[1, 2], [1, 4]])
    many = profile(loss=[[0, 0]] * 200, latency_ms=[[1, 2], [1, 4]] * 100)

    (one,), (other,) = compare_formats(few, few.tiers), compare_formats(many, many.tiers)

    assert one.n_timed == other.n_timed == 2
    assert one.latency_saved is not None
    assert other.latency_saved is not None
    # By hand: t at 0.975 with 1 degree of freedom is 12.7062; deviation of +-x over 200 rows is
    # x sqrt(200 / 199), x = ln(2) / 2; its reach 12.7062 * 0.347443 / sqrt 2 = 3.121635.
    high = -math.log(1 - other.latency_saved.high) + math.log(1 - other.latency_saved.value)
    assert high == pytest.approx(3.121635, abs=1e-4)
    assert other.latency_saved.low < 0 < other.latency_saved.high


def test_a_busy_spell_is_not_taken_for_many_independent_calls() -> None:
    """Thirty calls a dollar cheaper, then thirty a dollar dearer.

    By hand: batch means of 1 and -1, 15 each, deviate by sqrt(30 / 29) = 1.017095; t at 0.975 with
    29 degrees of freedom 2.045230; reach 2.045230 * 1.017095 / sqrt 30 = 0.379790. Taken one by one
    the calls would give 2.000995 * sqrt(60 / 59) / sqrt 60 = 0.260508.
    """
    jitter = np.linspace(0, 1e-9, 60)  # no two calls are the same call
    cost = [[1 + t, 2 + t] for t in jitter[:30]] + [[2 + t, 1 + t] for t in jitter[30:]]
    rows = profile(loss=[[0, 0]] * 60, cost_usd=cost)

    (found,) = compare_formats(rows, rows.tiers)

    saved = found.cost_saved_usd
    assert saved is not None
    assert (saved.low, saved.high) == pytest.approx((-0.379790, 0.379790), abs=1e-5)


def test_a_declared_price_is_no_estimate() -> None:
    """A dollar a thousand calls against two: the difference is known."""
    rows = profile(loss=[[0, 0]] * 5, cost_usd=[[0.001, 0.002]] * 5)

    (found,) = compare_formats(rows, rows.tiers)

    saved = found.cost_saved_usd
    assert saved is not None
    assert (saved.low, saved.value, saved.high) == pytest.approx((0.001, 0.001, 0.001))


def test_accuracy_is_compared_on_the_rows_that_both_answered() -> None:
    """Of 161 judged rows the formats differ on 22; one more was left out by one of them."""
    loss = [[0.0, 0.0]] * 59 + [[1.0, 0.0]] * 16 + [[0.0, 1.0]] * 6 + [[1.0, 1.0]] * 80
    rows = profile(loss=[*loss, [math.nan, 1.0]])

    (found,) = compare_formats(rows, rows.tiers)

    lost = found.accuracy_lost
    assert found.n_judged == 161
    assert lost is not None
    # The table of the first test: fp32 is right on 16 rows more, int8 on 6.
    assert (lost.value, lost.low, lost.high) == pytest.approx((0.0621, 0.0046, 0.1186), abs=5e-5)
    assert found.against.accuracy == pytest.approx(75 / 161)
    assert found.format.accuracy == pytest.approx(65 / 161)


def test_a_loss_between_nought_and_one_gets_an_interval_around_its_mean() -> None:
    """Not Newcombe's, which counts rows; betting assumes no more than the range."""
    rng = np.random.default_rng(5)
    base = rng.uniform(0.2, 0.6, 400)
    rows = profile(loss=np.column_stack([base + 0.1, base]).tolist())

    (found,) = compare_formats(rows, rows.tiers)

    lost = found.accuracy_lost
    assert lost is not None
    assert lost.value == pytest.approx(0.1)
    assert -0.1 < lost.low < 0.1 < lost.high < 0.3


def test_answers_changed_counts_other_values_and_abstentions() -> None:
    """Ten rows, one other value and one abstention.

    Golden: Clopper and Pearson (1934) for 2 of 10 at 0.95, 0.0252 to 0.5561 (their chart; any
    statistics package).
    """
    loss = [[0.0, 0.0]] * 8 + [[1.0, 0.0], [math.nan, 0.0]]
    given = [[0, 0]] * 8 + [[1, 0], [-1, 0]]
    rows = profile(loss=loss, given=given)

    (found,) = compare_formats(rows, rows.tiers)

    changed = found.answers_changed
    assert changed is not None
    assert (changed.value, changed.low, changed.high) == pytest.approx(
        (0.2, 0.0252, 0.5561), abs=5e-5
    )


def test_only_rows_set_aside_are_looked_at_where_there_are_any() -> None:
    """The others were answered by models that are not served."""
    rows = profile(
        loss=[[1, 0], [0, 0], [0, 0]],
        latency_ms=[[9, 1], [1, 2], [1, 2.1]],
        is_test=[False, True, True],
    )

    (found,) = compare_formats(rows, rows.tiers)

    assert (found.n_rows, found.n_timed, found.n_judged) == (2, 2, 2)
    assert found.format.latency_p95_ms == pytest.approx(1)
    assert found.format.accuracy == 1


def test_what_is_unknown_stays_unknown() -> None:
    """No latency, no price, no truth and no answer give no figure, not a nought."""
    rows = profile(loss=[[math.nan, math.nan]] * 3)

    (found,) = compare_formats(rows, rows.tiers)

    assert found.latency_saved is found.cost_saved_usd is found.accuracy_lost is None
    assert found.format.latency_p50_ms is found.format.cost_usd is found.format.accuracy is None
    assert (found.n_timed, found.n_judged) == (0, 0)


def test_one_timed_call_says_nothing() -> None:
    """A difference that was seen once may be anything, however many rows borrow it."""
    once = profile(loss=[[0, 0]] * 2, latency_ms=[[1, 2], [math.nan, 2]])
    borrowed = profile(loss=[[0, 0]] * 90, latency_ms=[[1, 2]] * 90)

    for rows in (once, borrowed):
        (found,) = compare_formats(rows, rows.tiers)
        assert found.n_timed == 1
        assert found.latency_saved is None


def test_an_unknown_tier_is_refused_with_the_nearest_name() -> None:
    """A typing mistake is not an empty comparison."""
    rows = profile(loss=[[0, 0]])
    with pytest.raises(DataError, match=r"(?s)'int9'.*int8, fp32.*try +int8"):
        compare_formats(rows, ("int9", "fp32"))


def test_the_sentence_says_what_is_saved_and_what_it_costs() -> None:
    """Every figure in it comes from the rows."""
    loss = [[0.0, 0.0]] * 59 + [[1.0, 0.0]] * 16 + [[0.0, 1.0]] * 6 + [[1.0, 1.0]] * 80
    given = [[0, 0]] * 139 + [[1, 0]] * 22
    rng = np.random.default_rng(3)
    slow = rng.uniform(8, 12, 161)
    fast = slow * rng.uniform(0.45, 0.55, 161)
    rows = profile(loss=loss, given=given, latency_ms=np.column_stack([fast, slow]).tolist())

    (cheap,) = compare_formats(rows, rows.tiers)
    (dear,) = compare_formats(rows, rows.tiers, against="int8")

    assert cheap.sentence.startswith("int8 saves 50 % (")
    assert "of the latency of fp32, costs 6.2 points of accuracy (0.5 to 11.9)" in cheap.sentence
    assert cheap.sentence.endswith("and changes 14 % (9 to 20) of the answers.")
    assert " longer than int8, gains 6.2 points of accuracy (0.5 to 11.9)" in dear.sentence
    nothing = compare_formats(profile(loss=[[math.nan] * 2]), rows.tiers)[0]
    assert "on these rows" not in cheap.sentence
    assert nothing.answers_changed is not None


def brief(tiers: str) -> Brief:
    """Make a brief with these tiers."""
    return parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
        f"  - {{quality: accuracy, at_least: 0.9}}\nlayers:\n  tiers:\n{tiers}"
    ).brief


def test_tiers_of_one_model_are_formats_of_it() -> None:
    """Alone, without a model, made up or not in the profile is not compared."""
    declared = brief(
        "    - {name: rules, kind: rules, use: 'tiers:R'}\n"
        "    - {name: int8, kind: model, use: 'tiers:A', model: MiniLM}\n"
        "    - {name: fp32, kind: model, use: 'tiers:A', model: MiniLM}\n"
        "    - {name: simulated_x, kind: model, use: 'tiers:A', model: MiniLM}\n"
        "    - {name: gone, kind: model, use: 'tiers:A', model: MiniLM}\n"
        "    - {name: other, kind: model, use: 'tiers:A', model: another}\n"
    )
    names = ("rules", "int8", "fp32", "simulated_x", "other")
    rows = profile(loss=[[0.0] * 5], tiers=names, simulated=frozenset({"simulated_x"}))

    assert formats_of(declared, rows) == {"MiniLM": ("int8", "fp32")}
