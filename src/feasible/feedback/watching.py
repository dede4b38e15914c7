"""What is known of a running feature at a time: promises, labels, estimates, alarms, upkeep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
import numpy as np
from scipy.stats import ks_2samp

from feasible.feedback.arrivals import Arrivals, arrivals_of
from feasible.feedback.headroom import HeadroomTracker, Judged
from feasible.feedback.plug_in import ASSUMES
from feasible.feedback.unlabelled import TOO_FRESH, Tallies, estimate_unlabelled
from feasible.feedback.upkeep import LayerUpkeep, upkeep_of
from feasible.feedback.verdicts import Verdicts, same
from feasible.schema import Brief, Decision, HeadroomRow, Label
from feasible.stats import Detector

__all__ = ["Alarm", "ErrorEstimate", "Watched", "watch_feature"]

_STRATA: Final = np.array([0.5, 0.7, 0.8, 0.9, 0.95, 0.98])
"""Between the strata of P(right)."""
_WINDOW_DAYS, _KEPT_DAYS = 7, 60
_ALARM_EVERY: Final = 10_000
"""Labels to a false alarm, on average and at least, over all promises together."""
_WORSE: Final = 2.0


class ErrorEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """Wrong answers of machines in the latest days, before their labels have come."""

    days: int
    answers: int
    audits: int
    """Audited answers that tell of it, of the last 60 days."""
    tells: bool
    """False: nobody can tell yet, and no figure is given."""
    share: float | None
    interval: tuple[float, float] | None
    """At 95 %."""
    usd_day: float | None
    """What they cost, where the brief says what a wrong answer costs."""
    plug_in: float | None
    """By the probabilities alone."""
    assumes: str
    """What has to be true for that."""


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One promise that is watched label by label."""

    objective: str
    limit: float
    """Largest share of losses allowed."""
    labels: int
    at: datetime | None
    """When the latest alarm was; None without one."""
    false_every: float
    """Labels to a false alarm, at least and on average: declared."""
    detectable_days: float | None
    """Days until twice the loss allowed would be seen, at the pace of the labels so far."""
    since: datetime | None
    """When decisions likely began to be worse, by the alarm; None without one."""
    moved: float | None
    """Diagnosis under an alarm: largest gap between the distributions of P(right) before and after
    `since`. None without an alarm, or without decisions of machines on either side."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known at a time."""

    at: datetime
    plan: str
    objectives: tuple[HeadroomRow, ...]
    labels: Arrivals
    estimates: tuple[ErrorEstimate, ...]
    triggers: tuple[Alarm, ...]
    upkeep: tuple[LayerUpkeep, ...]


def watch_feature(
    brief: Brief,
    plan: str,
    tracker: HeadroomTracker,
    *,
    objectives: Sequence[HeadroomRow],
    decisions: Sequence[Decision],
    labels: Sequence[Label],
    people: frozenset[str],
    now: datetime,
) -> Watched:
    """Say what is known at a time; nothing that came later may be in what is handed over.

    Args:
        brief: What is promised.
        plan: Id of the plan that answers.
        tracker: Has been told of these decisions and labels, in the order of their times.
        objectives: How each promise stands.
        decisions: Of the plan, up to then.
        labels: Known by then.
        people: Names of tiers that are people.
        now: The time.
    """
    machine = [
        one
        for one in decisions
        if one.probability is not None and one.tier not in people and not one.handed_off
    ]
    error = brief.goal.error_usd
    estimate = _estimate(machine, labels, now=now, error_usd=None if error is None else error.mid)
    judged = [one for one in tracker.judged() if 0 < one.limit < 1]
    return Watched(
        at=now,
        plan=plan,
        objectives=tuple(objectives),
        labels=arrivals_of(decisions, labels, now=now),
        estimates=() if estimate is None else (estimate,),
        triggers=tuple(_alarm(one, decisions, machine, share=len(judged)) for one in judged),
        upkeep=upkeep_of(brief),
    )


def _alarm(
    judged: Judged, decisions: Sequence[Decision], machine: Sequence[Decision], *, share: int
) -> Alarm:
    alpha = 1.0 / (_ALARM_EVERY * share)
    detector, at, suspects = Detector(judged.limit, alpha=alpha), None, frozenset[str]()
    for step, (when, loss) in enumerate(zip(judged.times, judged.losses, strict=True)):
        if detector.add(loss):
            at = when
            begins = step + 1 - (detector.since or 0)
            suspects = frozenset(judged.decisions[begins : step + 1])
    since = min((one.at for one in decisions if one.decision_id in suspects), default=None)
    return Alarm(
        objective=judged.objective,
        limit=judged.limit,
        labels=len(judged.losses),
        at=at,
        false_every=1.0 / alpha,
        detectable_days=_detectable_days(judged, alpha),
        since=since,
        moved=None if since is None else _moved(machine, since),
    )


def _detectable_days(judged: Judged, alpha: float) -> float | None:
    """Give the days in which evidence of twice the loss allowed would reach an alarm."""
    if len(judged.times) < 2:  # noqa: PLR2004  a pace takes two
        return None
    span_s = (judged.times[-1] - judged.times[0]).total_seconds()
    if span_s <= 0:
        return None
    a_day = (len(judged.times) - 1) / (span_s / 86_400)
    p, q = judged.limit, min(_WORSE * judged.limit, (1 + judged.limit) / 2)
    gain = q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
    return math.log(1.0 / alpha) / gain / a_day


def _moved(machine: Sequence[Decision], since: datetime) -> float | None:
    before = [one.probability or 0.0 for one in machine if one.at < since]
    after = [one.probability or 0.0 for one in machine if one.at >= since]
    if not before or not after:
        return None
    return float(ks_2samp(before, after, method="asymp").statistic)


def _estimate(
    machine: Sequence[Decision],
    labels: Iterable[Label],
    *,
    now: datetime,
    error_usd: float | None,
) -> ErrorEstimate | None:
    """Estimate the wrong answers of the latest days from the audits of the last 60."""
    begin = now - timedelta(days=_KEPT_DAYS)
    kept = [one for one in machine if one.at > begin]
    latest = [one for one in kept if one.at > now - timedelta(days=_WINDOW_DAYS)]
    if not latest:
        return None
    verdicts: dict[str, Verdicts] = {}
    for label in labels:
        verdicts.setdefault(label.decision_id, Verdicts()).add(label)
    shape = (_KEPT_DAYS, len(_STRATA) + 1)
    rows, expected, audited, wrong = (np.zeros(shape) for _ in range(4))
    for one in kept:
        day = _KEPT_DAYS - 1 - int((now - one.at) / timedelta(days=1))
        p = one.probability or 0.0
        at = (max(day, 0), int(np.searchsorted(_STRATA, p, side="right")))
        rows[at] += 1
        expected[at] += min(max(1 - p, 1e-4), 1 - 1e-4)
        known = verdicts.get(one.decision_id)
        truth = None if known is None or not known.is_audited else known.truth
        if truth is not None:
            audited[at] += 1
            wrong[at] += not same(one.answer, truth.value)
    used = rows.sum(axis=0) > 0
    nothing = np.zeros((_KEPT_DAYS, int(used.sum())))
    found = estimate_unlabelled(
        Tallies(
            acted=np.zeros(int(used.sum()), dtype=np.bool_),
            rows=rows[:, used],
            expected=expected[:, used],
            open_rows=nothing,
            arrived=np.zeros(_KEPT_DAYS),
            reports=nothing,
            audited=audited[:, used],
            audited_events=wrong[:, used],
        ),
        window=_WINDOW_DAYS,
        rng=np.random.default_rng(0),
    )
    n, audits = len(latest), int(audited.sum())
    tells = audits > 0 and found.fresh < TOO_FRESH
    missed = found.missed
    return ErrorEstimate(
        days=_WINDOW_DAYS,
        answers=n,
        audits=audits,
        tells=tells,
        share=missed.value / n if tells else None,
        interval=(missed.low / n, missed.high / n) if tells else None,
        usd_day=None if not tells or error_usd is None else missed.value / _WINDOW_DAYS * error_usd,
        plug_in=float(np.mean([1 - (one.probability or 0.0) for one in latest])),
        assumes=ASSUMES,
    )
