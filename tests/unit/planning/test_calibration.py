"""Probabilities are right as often as they say, on rows that did not fit them."""

from __future__ import annotations

import numpy as np
import pytest

from feasible.cascade import calibrate_all
from feasible.planning.calibration import answer_groups, brier_and_ece, fit_calibrators
from feasible.schema import Profile, parse_brief


def drawn(n: int, seed: int, *, scored: bool = True) -> Profile:
    """Draw rows whose chance of being right is the square of the score."""
    rng = np.random.default_rng(seed)
    score = rng.random((n, 1))
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("m",),
        loss=(rng.random((n, 1)) > score**2).astype(float),
        answered=np.ones((n, 1), dtype=np.bool_),
        score=score if scored else np.full((n, 1), np.nan),
        answer_class=np.zeros((n, 1), dtype=np.int64),
        classes=("a",),
        latency_ms=np.ones((n, 1)),
        cost_usd=np.ones((n, 1)),
    )


@pytest.mark.parametrize(("n", "method"), [(4000, "isotonic"), (300, "platt")])
def test_probabilities_are_calibrated_on_other_rows(n: int, method: str) -> None:
    """Fitted on some rows, the error of the probability stays small on 5,000 others."""
    fit = fit_calibrators(drawn(n, 1), 0, {})
    assert fit is not None
    made = fit.calibrators["*"]
    other = drawn(5000, 2)

    _, ece = brier_and_ece(calibrate_all(made, other.score[:, 0]), 1 - other.loss[:, 0])

    assert made.method == method
    assert ece < (0.03 if method == "isotonic" else 0.08)
    assert all(np.diff(made.x) > 0)
    assert all(np.diff(made.y) >= 0)
    assert len(made.x) <= 64


def test_a_tier_without_scores_gets_the_share_that_is_right() -> None:
    """With one imaginary right and one wrong answer, so that a handful claims no certainty."""
    rows = drawn(30, 3, scored=False)
    fit = fit_calibrators(rows, 0, {})
    assert fit is not None

    right = float((1 - rows.loss).sum())

    assert fit.calibrators["*"].method == "constant"
    assert fit.calibrators["*"].y[0] == pytest.approx((right + 1) / 32)


def test_a_tier_that_answered_no_labelled_row_has_no_probability() -> None:
    """Nobody can say how often it is right."""
    rows = drawn(30, 3)
    rows.loss[:] = np.nan

    assert fit_calibrators(rows, 0, {}) is None


def test_brier_and_calibration_error_by_hand() -> None:
    """Source: ten probabilities of 0.8 of which five are right: 0.34 and 0.3."""
    right = np.array([1.0, 0.0] * 5)

    brier, ece = brier_and_ece(np.full(10, 0.8), right)

    assert brier == pytest.approx(0.5 * 0.04 + 0.5 * 0.64)
    # Ten rows in ten bins of one row each: every gap is 0.2 or 0.8.
    assert ece == pytest.approx(0.5)


def test_answers_given_to_a_protected_slice_form_groups() -> None:
    """`card_lost` is mostly risky, `card_late` sometimes, `hours` never."""
    brief = parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
        "  - {quality: recall, on: risky, at_least: 0.9}\n"
    ).brief
    given = np.repeat([0, 1, 2], 100)
    risky = np.zeros(300, dtype=np.bool_)
    risky[:90] = True
    risky[100:105] = True
    rows = Profile(
        row_ids=tuple(str(i) for i in range(300)),
        tiers=("m",),
        loss=np.zeros((300, 1)),
        answered=np.ones((300, 1), dtype=np.bool_),
        score=np.ones((300, 1)),
        answer_class=given[:, None],
        classes=("card_lost", "card_late", "hours"),
        latency_ms=np.ones((300, 1)),
        cost_usd=np.ones((300, 1)),
        slices={"risky": risky},
    )

    assert answer_groups(brief, rows, 0) == {"card_lost": "risky", "card_late": "near_risky"}


def test_a_class_that_recall_is_about_forms_groups_too() -> None:
    """Answers `fraud` are a group, and answers `fine` that are sometimes fraud are near it."""
    brief = parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
        "  - {quality: recall, of: fraud, at_least: 0.9}\n"
    ).brief
    rows = Profile(
        row_ids=tuple(str(i) for i in range(100)),
        tiers=("m",),
        loss=np.zeros((100, 1)),
        answered=np.ones((100, 1), dtype=np.bool_),
        score=np.ones((100, 1)),
        answer_class=np.where(np.arange(100) < 10, 0, 1)[:, None],
        classes=("fraud", "fine"),
        latency_ms=np.ones((100, 1)),
        cost_usd=np.ones((100, 1)),
        label=tuple("fraud" if i < 9 or i > 96 else "fine" for i in range(100)),
    )

    assert answer_groups(brief, rows, 0) == {"fraud": "fraud", "fine": "near_fraud"}


def test_surer_scores_stay_surer_where_isotonic_regression_is_level() -> None:
    """A threshold may stand between any two knots: probabilities rise from each to the next."""
    rng = np.random.default_rng(3)
    rows = drawn(4000, 3)
    level = Profile(
        **{
            name: getattr(rows, name)
            for name in ("row_ids", "tiers", "answered", "score", "answer_class", "classes")
        },
        loss=(rng.random((4000, 1)) > 0.7).astype(float),  # whatever the score
        latency_ms=rows.latency_ms,
        cost_usd=rows.cost_usd,
    )

    fit = fit_calibrators(level, 0, {})

    assert fit is not None
    assert fit.calibrators["*"].method == "isotonic"
    assert (np.diff(fit.calibrators["*"].y) > 0).all()
