"""What a simulation said of a service, and what the service then did.

    python -m bench calibrated

The support system is served for real on one core, with a vendor that is pretended; the load comes
from the other. What the service takes of this machine is measured once; everything is predicted,
written and hashed; and only then are the loads measured. Run it in a quiet hour: the section says
how busy the machine was. It takes ten minutes.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from bench.cores import GENERATOR_CORE, on_core
from bench.llm_feature import FAILS, FAILS_AFTER_S, LLM, OUTAGE, write_llm_feature
from bench.ours import running_ours
from bench.page import Section, table

from feasible.against import (
    Figures,
    Rehearsal,
    figures_of,
    measured_load,
    predicted_load,
    rehearsed,
    written,
)
from feasible.simulation import (
    Arrivals,
    Outage,
    Promise,
    breakpoints,
    broken_since,
    crossing,
    with_outage,
)
from feasible.simulation import run as simulate
from feasible.systems import open_feature

__all__ = ["run"]

_PARTS = {0.3: 130.0, 0.6: 75.0, 0.9: 60.0}
"""Share of the breaking load -> seconds for which it is measured: about as many requests each."""
_AROUND = (0.8, 0.9, 1.0, 1.1, 1.2)
_AROUND_S = 28.0
_OUTAGE_PART, _CALM_S, _DOWN_S, _WINDOW_S = 0.6, 30.0, 30.0, 20.0
_WITHIN, _BREAK_WITHIN = 0.15, 0.20
_ALWAYS_S = 1e9
_RUNS = 20
_SEED = 1
_PROMISE = "latency_p99"


@dataclass(frozen=True)
class _Predicted:
    breaks_at_per_s: tuple[float, float, float]
    loads: dict[float, Figures]
    order: list[tuple[str, float]]
    sha256: str


@dataclass(frozen=True)
class _Seen:
    loads: dict[float, Figures]
    used: dict[float, float]
    order: list[tuple[str, float]]
    refused: int
    load_averages: list[float]


def run() -> Section:
    """Calibrate, predict, write, and only then measure."""
    began = time.perf_counter()
    with TemporaryDirectory(dir=".", prefix=".bench-") as place, on_core(GENERATOR_CORE):
        folder = write_llm_feature(Path(place).resolve())
        with running_ours(folder) as service:
            print("  what the service takes of this machine", flush=True)
            vendor = Outage(0.0, _ALWAYS_S, "error", after_s=FAILS_AFTER_S, share=FAILS)
            ready = rehearsed(
                open_feature(str(folder)),
                service.url,
                knobs={},
                seed=_SEED,
                seconds=12.0,
                faults={LLM: vendor},
            )
            predicted = _predicted(ready, folder.parent)
            print(f"  predicted, sha256 {predicted.sha256[:16]}; now it is measured", flush=True)
            seen = _measured(ready, predicted, folder)
    took_s = time.perf_counter() - began
    return Section(
        "Calibrated", "python -m bench calibrated", _text(ready, predicted, seen, took_s)
    )


def _promise(ready: Rehearsal) -> Promise:
    return next(promise for promise in ready.promises if promise.id == _PROMISE)


def _predicted(ready: Rehearsal, folder: Path) -> _Predicted:
    """Predict everything, write it down and hash it."""
    rate = ready.design.arrivals.rate_per_s
    found = breakpoints(ready.design, (_promise(ready),), seed=_SEED, effects=False)
    low, middle, high = (rate * (m or np.nan) for m in found.order[0].headroom)
    loads = {
        part: predicted_load(ready, part * middle, seconds=seconds)
        for part, seconds in _PARTS.items()
    }
    order = _order(ready, _OUTAGE_PART * middle)
    _, digest = written(
        folder / "prediction.json",
        {
            "machine": ready.machine,
            "p99_breaks_at_per_s": (low, middle, high),
            "loads": loads,
            "order_of_breaks": order,
        },
    )
    return _Predicted((low, middle, high), loads, order, digest)


def _order(ready: Rehearsal, rate: float) -> list[tuple[str, float]]:
    """Predict which promises an outage breaks, and after how many seconds."""
    k = next(k for k, load in enumerate(ready.design.tiers) if load.name == LLM)
    down = Outage(_CALM_S, _CALM_S + _DOWN_S, "error", after_s=FAILS_AFTER_S)
    design = with_outage(replace(ready.design, arrivals=Arrivals(rate)), k, down)
    n, after = round(rate * (_CALM_S + _DOWN_S)), dict[str, list[float]]()
    for seed in range(_RUNS):
        found = simulate(design, n, seed=_SEED + seed)
        for name, seconds in broken_since(
            design, ready.promises, found, _CALM_S, window_s=_WINDOW_S
        ):
            after.setdefault(name, []).append(seconds)
    usual = {name: float(np.median(s)) for name, s in after.items() if len(s) > _RUNS / 2}
    return sorted(usual.items(), key=lambda one: one[1])


def _measured(ready: Rehearsal, predicted: _Predicted, folder: Path) -> _Seen:
    """Send every load that was predicted."""
    middle, refused = predicted.breaks_at_per_s[1], 0
    loads, used, busy = {}, {}, [os.getloadavg()[0]]
    for part, seconds in _PARTS.items():
        outcome, lost = measured_load(ready, part * middle, seconds=seconds)
        loads[part], refused = figures_of(ready, outcome), refused + lost
        busy.append(os.getloadavg()[0])
        print(f"  {part:g} of the breaking load", flush=True)
    for multiple in _AROUND:
        outcome, _ = measured_load(ready, multiple * middle, seconds=_AROUND_S)
        used[multiple] = _promise(ready).used(ready.design, outcome)
        print(f"  {multiple:g} of the breaking load: {used[multiple]:.2f} of the limit", flush=True)
    busy.append(os.getloadavg()[0])
    switch = threading.Timer(_CALM_S, (folder / OUTAGE).touch)
    switch.start()
    outcome, _ = measured_load(ready, _OUTAGE_PART * middle, seconds=_CALM_S + _DOWN_S)
    switch.join()
    design = replace(ready.design, arrivals=Arrivals(_OUTAGE_PART * middle))
    order = broken_since(design, ready.promises, outcome, _CALM_S, window_s=_WINDOW_S)
    busy.append(os.getloadavg()[0])
    return _Seen(loads, used, list(order), refused, busy)


def _text(ready: Rehearsal, predicted: _Predicted, seen: _Seen, took_s: float) -> str:
    machine = ready.machine
    low, middle, high = predicted.breaks_at_per_s
    at = crossing(np.array(list(seen.used)), np.array(list(seen.used.values()))) * middle
    lines, off, widths = _loads(predicted, seen)
    inside = sum(abs(one) <= _WITHIN for one in off)
    busy = ", ".join(f"{load:.1f}" for load in (machine.load_average, *seen.load_averages))
    times = ", ".join(f"`{name}` {times:.2f}x" for name, times in machine.tier_times.items())
    p10, p50, p90 = machine.overhead_ms
    same = [name for name, _ in predicted.order] == [name for name, _ in seen.order]
    return f"""\
The support system with a pretended vendor in its plan, served for real on one core; the load comes
from the other, in an open loop. Everything was predicted, written and hashed (sha256
`{predicted.sha256}`) before the first of these loads was sent. Load average of the machine
along the way: {busy}. It took {took_s / 60:.0f} minutes.

Measured once beforehand, and inputs of the simulation: the service works {machine.front_ms:.2f} ms
on a decision; a commit takes {machine.commit_ms:.2f} ms, each further decision in it
{machine.commit_each_ms:.3f} ms; reading, writing and waking up take {p50:.2f} ms ({p10:.2f} to
{p90:.2f}); a call under the service takes as many times as long as in the profile: {times}.

{table(["figure", *_HEADS], lines)}

Each cell has what was predicted, where 95 % of runs as long as the measured one should fall, and
what was measured. {inside} of {len(off)} figures are within {_WITHIN:.0%} of the measured one; the
widest interval is {max(widths):+.0%}.

| | predicted | measured | off by | allowed |
| --- | ---: | ---: | ---: | ---: |
| p99 first breaks its limit at | {middle:.0f} / s ({low:.0f} to {high:.0f}) | \
{_shown(at)} / s | {_off(middle, at)} | {_BREAK_WITHIN:.0%} |

Share of the limit that p99 used around it: \
{", ".join(f"{m:g}x {u:.2f}" for m, u in seen.used.items())}.

The vendor fails from one moment on, at {_OUTAGE_PART:g} of the breaking load. A promise is broken
when the last {_WINDOW_S:g} s break it:

{table(["order of breaks", "predicted", "measured"], _order_lines(predicted.order, seen.order))}

The order is {"the predicted one" if same else "NOT the predicted one"}.
"""


_HEADS = tuple(f"at {part:g} of the break" for part in _PARTS)


def _loads(predicted: _Predicted, seen: _Seen) -> tuple[list[list[str]], list[float], list[float]]:
    lines, off, widths = [], list[float](), list[float]()
    for name in next(iter(predicted.loads.values())):
        line = [name.replace("_", " ")]
        for part, figures in predicted.loads.items():
            value, low, high = figures[name]
            measured = seen.loads[part].get(name, (0.0, 0.0, 0.0))[0]
            line.append(
                f"{value:.4g} ({low:.4g} to {high:.4g}), {measured:.4g}: {_off(value, measured)}"
            )
            if value or measured:
                off.append(value / measured - 1 if measured else np.inf)
                widths.append((high - low) / 2 / value if value else np.inf)
        lines.append(line)
    return lines, off, widths


def _off(predicted: float, measured: float) -> str:
    if predicted == measured:
        return "+0 %"
    return f"{predicted / measured - 1:+.0%}" if measured and np.isfinite(measured) else "unknown"


def _shown(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "more than was tried"


def _order_lines(
    predicted: list[tuple[str, float]], seen: list[tuple[str, float]]
) -> list[list[str]]:
    measured = dict(seen)
    lines = []
    for number, (name, after_s) in enumerate(predicted, start=1):
        found = f"after {measured[name]:.1f} s" if name in measured else "never"
        lines.append([f"{number}. {name}", f"after {after_s:.1f} s", found])
    expected = dict(predicted)
    lines += [[f"- {n}", "never", f"after {s:.1f} s"] for n, s in seen if n not in expected]
    return lines


if __name__ == "__main__":
    print(run().text)
