"""The simulator is held to queues whose answers are known exactly, with the luck of each run."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from feasible.simulation import (
    Arrivals,
    Batching,
    CacheFront,
    Outcome,
    Quota,
    Service,
    draw,
    run,
    run_calendar,
    sweep,
)
from feasible.simulation.draws import zipf
from feasible.simulation.queueing import (
    allen_cunneen_wait,
    batch_capacity,
    erlang_c,
    lru_hit,
    pollaczek_khinchine_wait,
    share_out_of_patience,
    ttl_hit,
    waiting,
)
from feasible.testing import one_tier, three_tiers

WARM_UP = 0.05
"""Share of a run that is cut off: a queue that begins empty is too short at first."""


def batch_means(values: np.ndarray, batches: int = 40) -> tuple[float, float]:
    """Give a mean and three standard errors of it, by means of long batches."""
    kept = values[int(len(values) * WARM_UP) :]
    means = kept[: len(kept) // batches * batches].reshape(batches, -1).mean(axis=1)
    return float(means.mean()), 3.0 * float(means.std(ddof=1)) / math.sqrt(batches)


def waits_s(outcome: Outcome, service_s: np.ndarray) -> np.ndarray:
    """Give the time that each request spent in the queue."""
    return np.asarray(outcome.latency_ms / 1e3 - service_s)


def test_waits_of_the_sweep_are_those_of_erlang_c() -> None:
    """Two million customers of M/M/4 at 80 % wait as long as the closed form says."""
    design = one_tier(rate=3.2)
    draws = draw(design, 2_000_000, seed=1)

    waits = waits_s(sweep(design, draws), draws.tiers[0].service_s)

    mean, margin = batch_means(waits)
    share, share_margin = batch_means((waits > 1e-9).astype(float))
    assert margin < 0.05
    assert mean == pytest.approx(waiting(3.2, 1.0, 4).mean_wait, abs=margin)
    assert share == pytest.approx(erlang_c(4, 3.2), abs=share_margin)


@pytest.mark.parametrize("rate", [3.2, 4.0, 5.0])
def test_impatient_customers_leave_as_often_as_they_must(rate: float) -> None:
    """The share that waits for its whole patience is exact below, at and above capacity."""
    design = one_tier(rate=rate, patience_s=1.0)

    outcome = run(design, 400_000, seed=2)

    left, margin = batch_means(outcome.degraded.astype(float))
    assert margin < 0.012
    assert left == pytest.approx(share_out_of_patience(rate, 1.0, 4, 1.0), abs=margin)
    assert outcome.tiers[0].waited_out == outcome.degraded.sum()


def test_a_single_server_waits_as_pollaczek_and_khinchine_say() -> None:
    """A lognormal service time of spread 0.6 at 80 %: 2.867 by the formula."""
    design = one_tier(rate=0.8, slots=1, service=Service("lognormal", 1.0, 0.6))
    draws = draw(design, 2_000_000, seed=3)

    waits = waits_s(sweep(design, draws), draws.tiers[0].service_s)

    exact = pollaczek_khinchine_wait(0.8, 1.0, math.exp(0.36) - 1)
    mean, margin = batch_means(waits)
    assert exact == pytest.approx(2.867, abs=1e-3)
    assert margin < 0.15
    assert mean == pytest.approx(exact, abs=margin)


def test_what_is_exact_for_one_kind_of_queue_holds_for_it() -> None:
    """The approximation for any queue gives Erlang C where arrivals and services are random."""
    assert allen_cunneen_wait(3.2, 1.0, 4, 1.0, 1.0) == waiting(3.2, 1.0, 4).mean_wait


def test_full_batches_leave_as_fast_as_the_closed_form_says() -> None:
    """16 calls in 8 ms + 16 x 1 ms are 666.7 a second, and three times as many are offered."""
    design = one_tier(rate=2000.0, slots=1, batching=Batching(16, 0.005, 0.008, 0.001))

    outcome = run(design, 60_000, seed=4)

    last = outcome.at_s[-1] + outcome.latency_ms[-1] / 1e3
    assert 60_000 / last == pytest.approx(batch_capacity(1, 16, 0.008, 0.001), rel=0.005)


def test_utilisation_is_rate_times_time_over_slots() -> None:
    """The utilisation law holds for every tier within 1 %."""
    design = three_tiers(100.0)

    outcome = run(design, 400_000, seed=5)

    for use, slots in zip(outcome.tiers, (2, 4, 16), strict=True):
        mean_busy = use.busy_s / use.calls
        law = use.calls / outcome.span_s * mean_busy / slots
        assert use.utilisation == pytest.approx(law, rel=0.01)
    assert outcome.tiers[0].utilisation == pytest.approx(100 * 0.005 / 2, rel=0.01)


@pytest.mark.slow
def test_a_cache_that_forgets_by_age_hits_as_often_as_the_closed_form_says() -> None:
    """Its second half hits as the closed form says, and its cold start much less."""
    design = replace(three_tiers(100.0), cache=CacheFront(keys=20_000, zipf=1.0, ttl_s=300.0))

    outcome = run(design, 200_000, seed=6)

    hits = outcome.exit == -2
    exact = ttl_hit(zipf(20_000, 1.0), 100.0, 300.0)
    assert hits[100_000:].mean() == pytest.approx(exact, abs=0.012)
    assert hits[:10_000].mean() < exact - 0.1


@pytest.mark.slow
def test_a_cache_that_forgets_what_was_used_longest_ago_hits_as_che_says() -> None:
    """1,000 of 20,000 keys are held."""
    cache = CacheFront(keys=20_000, zipf=1.0, ttl_s=1e9, size=1000)
    design = replace(one_tier(rate=3.2, service=Service("fixed", 1e-6)), cache=cache)

    outcome = run(design, 300_000, seed=7)

    hits = outcome.exit[50_000:] == -2
    assert hits.mean() == pytest.approx(lru_hit(zipf(20_000, 1.0), 1000), abs=0.006)


def test_a_vendor_lets_through_no_more_than_its_quota() -> None:
    """Ten times the quota is offered: the long-run rate is the quota's."""
    design = one_tier(rate=100.0, slots=1000, service=Service("fixed", 0.01), quota=Quota(600.0))

    outcome = run(design, 50_000, seed=8)

    let_through = outcome.tiers[0].calls
    assert let_through / outcome.span_s == pytest.approx(10.0, rel=0.01)
    assert let_through <= 10.0 * outcome.span_s + 11
    assert outcome.over_quota.sum() == 50_000 - let_through


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    """Luck depends on the seed alone."""
    design = three_tiers(100.0)

    first, again, other = (run(design, 5000, seed=seed) for seed in (1, 1, 2))

    assert first.latency_ms.tobytes() == again.latency_ms.tobytes()
    assert first.latency_ms.tobytes() != other.latency_ms.tobytes()


def test_a_knob_changes_what_it_means_to_change_and_no_other_luck() -> None:
    """Two designs of one seed get the same requests at the same instants."""
    few, many = draw(three_tiers(100.0), 1000, seed=1), draw(three_tiers(200.0), 1000, seed=1)

    assert np.array_equal(few.row, many.row)
    assert np.allclose(few.at_s, 2 * many.at_s)
    assert np.array_equal(few.tiers[2].service_s, many.tiers[2].service_s)


def test_the_mean_rate_is_kept_however_requests_come() -> None:
    """Days, bursts and recorded traffic come as often as declared."""
    recorded = np.cumsum(np.random.default_rng(0).exponential(0.5, 3000))
    kinds = (
        Arrivals(20.0),
        Arrivals(20.0, kind="diurnal", period_s=600.0),
        Arrivals(20.0, kind="bursty", peak=5.0, burst_s=2.0),
        Arrivals(20.0, kind="trace", trace_s=tuple(recorded.tolist())),
        Arrivals(0.7, kind="trace", trace_s=tuple(recorded.tolist())),
    )
    for arrivals in kinds:
        at_s = draw(replace(three_tiers(), arrivals=arrivals), 60_000, seed=9).at_s
        assert (np.diff(at_s) >= 0).all()
        assert len(at_s) / at_s[-1] == pytest.approx(arrivals.rate_per_s, rel=0.04)


def test_bursts_are_more_uneven_than_random_arrivals() -> None:
    """The variance of counts per second over their mean is 1 for Poisson, and more in bursts."""

    def dispersion(arrivals: Arrivals) -> float:
        at_s = draw(replace(three_tiers(), arrivals=arrivals), 60_000, seed=9).at_s
        counts = np.bincount(at_s.astype(int))
        return float(counts.var() / counts.mean())

    assert dispersion(Arrivals(20.0)) == pytest.approx(1.0, abs=0.1)
    assert dispersion(Arrivals(20.0, kind="bursty", peak=5.0, burst_s=5.0)) > 3.0


def test_the_calendar_waits_as_erlang_c_says_too() -> None:
    """The reference engine on its own, with a wider margin."""
    design = one_tier(rate=3.2)
    draws = draw(design, 100_000, seed=11)

    waits = waits_s(run_calendar(design, draws), draws.tiers[0].service_s)

    mean, margin = batch_means(waits)
    assert mean == pytest.approx(waiting(3.2, 1.0, 4).mean_wait, abs=margin)
