"""Bursts: fitted to what was recorded, and what a brief gets that says nothing of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feasible.simulation import Arrivals, Promise, breakpoints, draw, latency
from feasible.simulation.bursts import CHAT, CODE, Unevenness, dispersion, unevenness_of
from feasible.simulation.trace_file import read_trace
from feasible.testing import one_tier, three_tiers


def test_poisson_arrivals_have_a_dispersion_of_one() -> None:
    """Of any window."""
    at_s = draw(three_tiers(50.0), 200_000, seed=1).at_s

    assert dispersion(at_s, 1.0) == pytest.approx(1.0, abs=0.06)
    assert dispersion(at_s, 5.0) == pytest.approx(1.0, abs=0.12)


def test_known_bursts_are_found_again() -> None:
    """Arrivals are made of known bursts, and the fit gives them back."""
    known = Unevenness(1.6, 6.8)
    share, lasts_s = known.bursts(4.0)
    made = Arrivals(20.0, kind="bursty", peak=4.0, burst_share=share, burst_s=lasts_s)
    at_s = draw(replace(three_tiers(), arrivals=made), 400_000, seed=2).at_s

    found = unevenness_of(at_s)

    assert found.variation == pytest.approx(known.variation, rel=0.15)
    assert found.relaxes_s == pytest.approx(known.relaxes_s, rel=0.15)


@pytest.mark.parametrize("peak", [1.5, 3.0, 10.0])
def test_bursts_of_any_peak_are_as_uneven(peak: float) -> None:
    """The variance of the rate by hand; a low peak can bear only so much, with nothing between."""
    known = Unevenness(4.4, 8.0)

    share, _ = known.bursts(peak)

    calm = (1 - share * peak) / (1 - share)
    variance = share * (peak - 1) ** 2 + (1 - share) * (calm - 1) ** 2
    assert variance == pytest.approx(min(4.4, peak - 1))
    assert calm >= -1e-12


def test_too_short_a_record_says_nothing() -> None:
    """A minute needs two of them."""
    with pytest.raises(ValueError, match="fewer than two windows"):
        unevenness_of(np.linspace(0.0, 100.0, 500))


@pytest.mark.data
@pytest.mark.parametrize(("name", "usual", "peak"), [("conv", CHAT, 2.0), ("code", CODE, 5.5)])
def test_the_usual_bursts_are_those_of_recorded_services(
    data_dir: Path, name: str, usual: Unevenness, peak: float
) -> None:
    """What the constants say is what the fit gives, and both meet the recorded dispersion."""
    at_s = np.array(read_trace(data_dir / "load_azure_llm" / f"{name}.csv.gz"))
    share, lasts_s = usual.bursts(peak)
    rate = len(at_s) / at_s[-1]
    made = Arrivals(rate, kind="bursty", peak=peak, burst_share=share, burst_s=lasts_s)
    again = draw(replace(three_tiers(), arrivals=made), 400_000, seed=5).at_s

    found = unevenness_of(at_s)

    assert found.variation == pytest.approx(usual.variation, rel=0.05)
    assert found.relaxes_s == pytest.approx(usual.relaxes_s, rel=0.05)
    for window in (1.0, 5.0, 20.0):
        assert dispersion(again, window) == pytest.approx(dispersion(at_s, window), rel=0.3)


@pytest.mark.data
def test_a_recorded_hour_is_replayed_with_its_burstiness(data_dir: Path) -> None:
    """Thinned or laid over itself, it keeps far more unevenness than Poisson; by hand: 1 + s(D-1).

    A record that is thinned to a share s keeps that part of its excess dispersion; copies that are
    laid over each other add up theirs and their means alike.
    """
    at_s = np.array(read_trace(data_dir / "load_azure_llm" / "code.csv.gz"))
    rate, before = len(at_s) / at_s[-1], dispersion(at_s, 5.0)
    trace = Arrivals(rate, kind="trace", trace_s=tuple(at_s.tolist()))

    half, more = (
        draw(replace(three_tiers(), arrivals=replace(trace, rate_per_s=rate * m)), n, seed=3).at_s
        for m, n in ((0.5, 4_400), (3.0, 26_000))
    )

    assert dispersion(half, 5.0) == pytest.approx(1 + 0.5 * (before - 1), rel=0.15)
    assert dispersion(more, 5.0) == pytest.approx(before, rel=0.35)


@pytest.mark.data
@pytest.mark.slow
def test_a_recorded_hour_breaks_a_promise_long_before_poisson(data_dir: Path) -> None:
    """The same mean rate and the same tier: bursts break p95 at a fraction of the load."""
    at_s = read_trace(data_dir / "load_azure_llm" / "code.csv.gz")
    rate = len(at_s) / at_s[-1]
    even = one_tier(rate=rate, slots=8)
    recorded = replace(even, arrivals=Arrivals(rate, kind="trace", trace_s=at_s))
    promise = Promise("latency_p95", latency(0.95), 5.0, "s")

    heads = [
        breakpoints(design, (promise,), seed=1, seeds=2, effects=False).order[0]
        for design in (even, recorded)
    ]

    even_breaks, recorded_breaks = heads[0].headroom[1], heads[1].headroom[1]
    assert even_breaks is not None
    assert heads[1].verdict == "broken" or (recorded_breaks or 0.0) < 0.7 * even_breaks
