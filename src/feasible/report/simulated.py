"""What a simulation says, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from feasible.against import Comparison
from feasible.report.terminal import show, spoken
from feasible.simulation import Binding, PromiseLine, Simulated
from feasible.units import format_duration, format_ratio, format_usd

__all__ = ["comparison_of_loads", "simulated_parts", "simulated_sentence"]

_NOTHING: Final = "-"
_STYLE: Final = {"holds": "green", "breaks": "", "broken": "bold red", "unknown": "yellow"}
_MOST_EFFECTS: Final = 5
_LEAST_COLUMNS: Final = 3
_LEAST_LATE: Final = 5e-4


def simulated_parts(found: Simulated) -> Iterator[RenderableType]:
    """Give the parts of a report, what matters most first."""
    yield Text(simulated_sentence(found), style="bold")
    yield _promises(found)
    for binding in (found.broken_by, found.bottleneck):
        if binding is not None:
            yield Text(_bound(binding))
    if found.tiers:
        yield Text(_saturation(found), style="dim")
    if found.curve:
        yield _curve(found)
    if found.tornado:
        yield _tornado(found)
    if found.windows:
        yield _windows(found)
    if found.regimes:
        yield _regimes(found)
    yield from _faults(found)
    if found.facts:
        yield Group(*(part for k, v in found.facts.items() for part in _fact_parts(spoken(k), v)))
    yield from _small_print(found)


def simulated_sentence(found: Simulated) -> str:
    """Say what breaks first in one breath."""
    broken = [line.objective for line in found.order if line.verdict == "broken"]
    head = f"{found.name}, {found.scenario}: "
    if broken:
        head += f"broken at {found.rate_per_s:,.3g} / s: {', '.join(map(spoken, broken))}. "
    first = found.first
    if first.constraint is None:
        return head + ("Nothing else breaks." if broken else "Every promise holds.")
    line = next(line for line in found.order if line.objective == first.constraint)
    head += f"First to break with load: {spoken(first.constraint)} at {_times(line.headroom[1])}"
    if first.p_first is not None:
        head += f" (in {first.p_first * 100:.0f} % of the runs)"
    if first.tie:
        head += f", a tie with {', '.join(map(spoken, first.tie))}"
    return head + "."


def _promises(found: Simulated) -> Table:
    table = _table(f"{found.name} at {found.rate_per_s:,.3g} / s: what breaks first")
    table.add_column("objective", min_width=14)
    before = {line.objective: line for line in found.before}
    names = ("limit", "now", "used", *(["as is"] if before else []), "headroom", "interval")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for line in found.order:
        word = "holds" if line.verdict == "breaks" else line.verdict
        table.add_row(
            spoken(line.objective),
            _value(line.limit, line.unit),
            _value(line.at_1x, line.unit),
            _NOTHING if line.used_at_1x is None else f"{line.used_at_1x * 100:,.0f} %",
            *([_headroom(before[line.objective], found)] if before else []),
            _headroom(line, found),
            _interval(line),
            Text("BROKEN" if word == "broken" else word, style=_STYLE[line.verdict]),
        )
    return table


def _headroom(line: PromiseLine, found: Simulated) -> str:
    if not found.curve or line.verdict == "unknown":
        return _NOTHING
    middle = line.headroom[1]
    if middle is None:
        return f"> {found.curve[-1].multiple:.3g}x"
    return f"< {middle:.2g}x" if line.note else _times(middle)


def _interval(line: PromiseLine) -> str:
    low, middle, high = line.headroom
    if middle is None or line.note:
        return _NOTHING
    if line.method == "closed_form":
        return "closed form"
    return f"{_times(low)} .. {_times(high)}"


def _times(value: float | None) -> str:
    return "more" if value is None else f"{value:.2f}x" if value < 10 else f"{value:.1f}x"  # noqa: PLR2004


def _bound(binding: Binding) -> str:
    name = spoken(binding.promise)
    if binding.knob is None:
        return f"{name}: no knob moves it; change the promise or the structure"
    what = "headroom" if binding.of == "headroom" else "share of its limit"
    moved = [e for e in binding.effects if abs(e.elasticity) > 0.05][:_MOST_EFFECTS]  # noqa: PLR2004
    shown = ", ".join(f"{e.knob} {e.elasticity:.2f}" for e in moved)
    return f"{name}: its {what} moves most with {binding.knob}; percent for percent: {shown}"


def _saturation(found: Simulated) -> str:
    busiest = max(found.tiers, key=lambda tier: tier.utilisation)
    at = "" if busiest.saturates_at is None else f", and is full at {_times(busiest.saturates_at)}"
    used = format_ratio(busiest.utilisation, decimals=0)
    told = f"most utilised: {busiest.name}, {used}{at} (utilisation law; not what binds by itself)"
    if busiest.wait_ms is not None:
        told += f"; a call of it waits {format_duration(busiest.wait_ms / 1e3)} on average"
        if busiest.late is not None and busiest.late >= _LEAST_LATE:
            told += f" and {format_ratio(busiest.late)} would run out of time"
        told += " (queueing formulas, for Poisson arrivals)"
    return told


def _curve(found: Simulated) -> Table:
    table = _table("what happens as load grows")
    for name in ("load", "/ s", "p50", "p95", "p99", "p99 useful", "degraded", "$ each"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in found.curve:
        table.add_row(
            f"{point.multiple:.2f}x",
            f"{point.rate_per_s:,.3g}",
            *(f"{v:,.0f} ms" for v in (point.p50_ms, point.p95_ms, point.p99_ms)),
            f"{point.p99_useful_ms:,.0f} ms",
            format_ratio(point.degraded),
            format_usd(point.usd_each),
        )
    return table


def _tornado(found: Simulated) -> Table:
    table = _table("what is not known exactly: the first break at either end")
    table.add_column("input")
    for name in ("low", "high", "break at low", "at high", "rank correlation"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for bar in found.tornado:
        table.add_row(
            bar.input,
            f"{bar.low:.4g}",
            f"{bar.high:.4g}",
            _times(bar.headroom_low),
            _times(bar.headroom_high),
            _NOTHING if bar.rank_correlation is None else f"{bar.rank_correlation:+.2f}",
            bar.basis,
        )
    return table


def _windows(found: Simulated) -> Table:
    table = _table("what happened, stretch by stretch")
    table.add_column("")
    for name in ("requests", "p50", "p99", "degraded", "$ each"):
        table.add_column(name, justify="right", no_wrap=True)
    for window in found.windows:
        table.add_row(
            window.name,
            f"{window.requests:,}",
            _NOTHING if window.p50_ms is None else f"{window.p50_ms:,.0f} ms",
            _NOTHING if window.p99_ms is None else f"{window.p99_ms:,.0f} ms",
            _NOTHING if window.degraded is None else format_ratio(window.degraded),
            format_usd(window.usd_each),
        )
    return table


def _regimes(found: Simulated) -> Table:
    table = _table("does a slow minute outlive its cause? degraded long after it, run by run")
    for name in ("load", "/ s", "busy", "without the fault", "with it"):
        table.add_column(name, justify="right", no_wrap=name != "with it")
    table.add_column("")
    for regime in found.regimes:
        table.add_row(
            _times(regime.multiple),
            f"{regime.rate_per_s:,.3g}",
            format_ratio(regime.utilisation, decimals=0),
            " ".join(format_ratio(v) for v in regime.degraded_without_fault),
            " ".join(format_ratio(v) for v in regime.degraded_after_fault),
            regime.regime,
        )
    return table


def _faults(found: Simulated) -> Iterator[RenderableType]:
    for fault in found.faults:
        if fault.tolerated is None:
            told = f"tolerated: all of {fault.tried_up_to:.3g} {fault.unit} that were tried"
        else:
            told = f"tolerated up to {fault.tolerated:.3g} {fault.unit}"
        if fault.breaks is not None and fault.tolerated is not None:
            told += f"; beyond, {spoken(fault.breaks)} breaks"
        if fault.required is not None:
            told += f"; the brief asks for {fault.required:.3g} {fault.unit}"
        if fault.recovers_s is not None:
            after = format_duration(fault.recovers_s)
            told += f"; all is well {after if fault.recovers_s else 'as soon as it is over'}"
            told += " after it" if fault.recovers_s else ""
        yield Text(f"{fault.fault}: {told}")


def _small_print(found: Simulated) -> Iterator[RenderableType]:
    trace = found.trace_of_first_violation
    if trace is not None:
        yield Text(
            f"first in the way of {spoken(trace.promise)} at {_times(trace.multiple)}: request "
            f"{trace.request:,} at {trace.at_s:.2f} s, {trace.latency_ms:,.0f} ms, answered by "
            f"{trace.answered_by}; {trace.busiest} was busiest",
            style="dim",
        )
    if found.p_holds is not None:
        most = "" if found.matters_most is None else f"; {found.matters_most} matters most"
        yield Text(
            f"with all that is not known drawn at once, every promise holds in "
            f"{found.p_holds * 100:.0f} % of the draws{most}",
            style="dim",
        )
    for told in found.assumed:
        yield Text(f"assumed: {told}", style="dim")
    yield Text(
        f"{found.requests:,} requests, seeds {found.seeds[0]}..{found.seeds[-1]}, {found.engine}, "
        f"design {found.design}" + ("" if found.plan is None else f", {found.plan}"),
        style="dim",
    )


def _fact_parts(name: str, value: Any) -> Iterator[RenderableType]:
    """Show a fact on a line; a curve, wherever it stands in it, as a table of its own."""
    if _is_curve(value):
        table = _table(name)
        known = [key for key in value[0] if any(line[key] is not None for line in value)]
        for key in known:
            table.add_column(spoken(key), justify="right", no_wrap=True)
        for line in value:
            table.add_row(*(_fact(line[key]) for key in known))
        yield table
    elif isinstance(value, dict) and any(map(_is_curve, value.values())):
        rest = {key: part for key, part in value.items() if not _is_curve(part)}
        if rest:
            yield Text(f"{name}: {_fact(rest)}")
        for key, part in value.items():
            if _is_curve(part):
                yield from _fact_parts(f"{name}, {spoken(str(key))}", part)
    else:
        yield Text(f"{name}: {_fact(value)}")


def _is_curve(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(line, dict) and len(line) >= _LEAST_COLUMNS for line in value)
    )


def _fact(value: Any) -> str:  # noqa: PLR0911  one line a kind
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, dict) and set(value) == {"objective", "after_s"}:
        return f"{spoken(value['objective'])} after {format_duration(value['after_s'])}"
    if isinstance(value, dict):
        return ", ".join(f"{spoken(str(k))} {_fact(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "; ".join(_fact(v) for v in value)
    return spoken(value) if isinstance(value, str) else str(value)


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return _NOTHING
    if unit == "/ h":
        return f"{value:,.4g} / h"
    return format_duration(value) if unit == "s" else show(value, unit)


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )


def comparison_of_loads(found: Comparison) -> RenderableType:
    """Show what was predicted beside what was measured."""
    table = _table(f"{found.name}: predicted, then measured")
    for name in ("of the break", "/ s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("figure", no_wrap=True)
    for name in ("predicted", "95 % of runs", "measured", "off by"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in found.lines:
        off = _NOTHING
        if line.measured:
            off = f"{(line.predicted / line.measured - 1) * 100:+.0f} %"
        table.add_row(
            f"{line.part:g}x",
            f"{line.rate_per_s:,.3g}",
            spoken(line.figure),
            f"{line.predicted:.4g}",
            "{:.4g} .. {:.4g}".format(*line.predicted_interval),
            _NOTHING if line.measured is None else f"{line.measured:.4g}",
            off,
        )
    machine = found.machine
    told = (
        f"predicted to break at {found.breaks_at_per_s:,.3g} / s; by this machine, the service "
        f"works {machine.front_ms:.2f} ms on a request, commits in {machine.commit_ms:.2f} ms and "
        f"adds {machine.overhead_ms[1]:.2f} ms; load average {machine.load_average:.1f} and "
        f"{found.load_average:.1f}; {found.refused:,} requests were refused; {found.prediction} "
        f"was written first, sha256 {found.sha256[:16]}; {found.plan}"
    )
    return Group(table, Text(told, style="dim"))
