"""What is asked of a simulation: one of the named scenarios, or a file that says more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, replace
from dataclasses import fields as dataclass_fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from feasible.errors import KnobError, ScenarioError, nearest
from feasible.simulation.design import Breaking, Design, Retrying
from feasible.simulation.knobs import knob_typed, knobs_of
from feasible.units import Count, Duration, Multiple, Ratio

__all__ = ["KINDS", "Scenario", "knob_values", "named_scenario", "read_scenario"]

KINDS: Final = (
    "breakpoint",
    "spike",
    "soak",
    "outage",
    "demand-shift",
    "stale",
    "labels-late",
    "budget",
    "retry-storm",
)

_KEYS_ARE: Final = "the keys and their values are listed in docs/reference/simulation.md"
_TRACE_IS: Final = "a file with one time a line, in seconds or as a date with its time"
_MOST_REQUESTS, _MOST_SEEDS, _MOST_TRACE = 1_000_000, 100, 2_000_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """What to simulate.

    Attributes:
        kind: One of `KINDS`.
        name: What it is called in reports.
        knobs: Knob -> value as typed.
        load: Multiple of the design's load.
        seeds: Runs of each design. Count.
        requests: Requests of each run. Count.
        tier: Which tier a fault hits; None: the vendor's.
        fault: `error` or `slow`.
        lasts_s: Length of the fault or of the spike. Seconds.
        factor: How many times as long a slow tier takes.
        share: Share of the calls that the fault hits.
        multiple: How many times the load a spike brings, or a slice's share a shift of demand.
        slice: Slice whose share shifts; None: the rarest.
        arrivals: Fields of the arrivals to change.
        retrying: How the tier is asked again; None: as the design says.
        breaking: When the tier is left alone; None: as the design says.
    """

    kind: str
    name: str
    knobs: Mapping[str, str] = field(default_factory=dict)
    load: float = 1.0
    seeds: int = 5
    requests: int = 10_000
    tier: str | None = None
    fault: str = "error"
    lasts_s: float | None = None
    factor: float = 4.0
    share: float = 1.0
    multiple: float | None = None
    slice: str | None = None
    arrivals: Mapping[str, Any] = field(default_factory=dict)
    retrying: Retrying | None = None
    breaking: Breaking | None = None


def named_scenario(name: str) -> Scenario:
    """Give a scenario by its name, or from a file.

    Raises:
        ScenarioError: It is neither, or the file cannot be used.
    """
    if name in KINDS:
        return Scenario(kind=name, name=name)
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return read_scenario(path)
    close = nearest(name, KINDS)
    raise ScenarioError(
        f"no scenario {name!r}",
        asked=f"--scenario {name}",
        found=f"scenarios: {', '.join(KINDS)}, or a file such as storm.yaml",
        attempt=f"--scenario {close or 'breakpoint'}",
    )


def knob_values(design: Design, typed: Mapping[str, str]) -> dict[str, float]:
    """Read typed knob values in the unit of each knob.

    Raises:
        KnobError: The design has no such knob, or the value has another unit.
    """
    knobs, out = knobs_of(design), {}
    for name, raw in typed.items():
        knob = knobs.get(name)
        if knob is None:
            close = nearest(name, knobs)
            raise KnobError(
                f"{design.name} has no knob {name!r}",
                asked=f"{name}={raw}",
                found=f"knobs: {', '.join(knobs)}",
                attempt=f"`{close}`?" if close else "one of these",
            )
        out[name] = knob_typed(name, raw, knob.dimension)
    return out


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        ScenarioError: It is not there, no YAML, or says what no scenario has.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(
            f"{path} cannot be read",
            asked=f"--scenario {path}",
            found=str(error),
            attempt="a text file, or a scenario by its name, such as --scenario breakpoint",
        ) from error
    try:
        found = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise ScenarioError(
            f"{path.name} is not YAML",
            asked=f"--scenario {path}",
            found=str(error.problem),
            attempt=_KEYS_ARE,
            where=f"{path.name}:{line}",
        ) from error
    return _Reader(path, found).scenario()


_Read = Callable[[Any], Any]


class _Reader:
    """One scenario file; every error names its line."""

    def __init__(self, path: Path, found: Any) -> None:
        self._path = path
        self._root = self._mapping(found, "the file", None)

    def scenario(self) -> Scenario:
        """Give what the file says."""
        root = self._root
        self._only(root, _TOP)
        kind = root.get("scenario")
        if kind not in KINDS:
            close = nearest(str(kind), KINDS)
            raise self._error(
                root,
                "scenario",
                f"`scenario` is one of {', '.join(KINDS)}",
                found="nothing" if kind is None else f"{kind!r}",
                attempt=f"scenario: {close}" if close else "scenario: breakpoint",
            )
        out = Scenario(kind=kind, name=self._path.stem)
        knobs = self._section("set")
        out = replace(out, knobs={str(name): str(value) for name, value in knobs.items()})
        out = replace(out, **self._fields(root, _PLAIN))
        for section, fields in (("fault", _FAULT), ("spike", _SPIKE), ("shift", _SHIFT)):
            part = self._section(section)
            self._only(part, {name for name, _, _ in fields})
            out = replace(out, **self._fields(part, fields))
        return replace(
            out,
            arrivals=self._arrivals(),
            retrying=self._record("retries", _RETRIES, Retrying),
            breaking=self._record("breaker", _BREAKER, Breaking),
        )

    def _record(self, section: str, fields: _Fields, made: type[Retrying | Breaking]) -> Any:
        if section not in self._root:
            return None
        part = self._section(section)
        self._only(part, {name for name, _, _ in fields})
        values = self._fields(part, fields)
        for needed in (one.name for one in dataclass_fields(made) if one.default is MISSING):
            if needed not in values:
                raise self._error(
                    self._root,
                    section,
                    f"`{section}` needs `{needed}`",
                    found=f"it has {', '.join(part) or 'nothing'}",
                    attempt=f"add `{needed}` to it",
                )
        return made(**values)

    def _arrivals(self) -> dict[str, Any]:
        part = self._section("arrivals")
        self._only(part, {name for name, _, _ in _ARRIVALS})
        values = self._fields(part, _ARRIVALS)
        trace = values.pop("trace", None)
        if trace is not None:
            values["trace_s"] = _trace(self._path.parent / trace)
            values["kind"] = "trace"
        return values

    def _fields(self, part: Any, fields: _Fields) -> dict[str, Any]:
        out = {}
        for name, attribute, read in fields:
            if name not in part:
                continue
            try:
                out[attribute] = read(part[name])
            except (ValueError, TypeError) as error:
                raise self._error(
                    part, name, f"`{name}` cannot be {part[name]!r}", found=str(error)
                ) from error
        return out

    def _section(self, name: str) -> Any:
        return self._mapping(self._root.get(name, {}), name, self._root)

    def _mapping(self, part: Any, name: str, root: Any) -> Any:
        if isinstance(part, Mapping):
            return part
        raise self._error(
            root,
            name,
            f"{name} of {self._path.name} is not a mapping",
            found="nothing" if part is None else repr(part),
            asked="`key: value` lines",
        )

    def _only(self, part: Any, known: set[str]) -> None:
        for name in part:
            if name not in known:
                close = nearest(str(name), known)
                raise self._error(
                    part,
                    name,
                    f"unknown key {name!r}",
                    found=f"known: {', '.join(sorted(known))}",
                    attempt=f"`{close}`?" if close else "one of these",
                )

    def _error(
        self,
        part: Any,
        key: Any,
        message: str,
        *,
        found: str,
        asked: str | None = None,
        attempt: str | None = None,
    ) -> ScenarioError:
        places = getattr(getattr(part, "lc", None), "data", None) or {}
        line = places[key][0] + 1 if key in places else 1
        return ScenarioError(
            message,
            asked=asked or (f"{key}: {part[key]}" if key in places else f"a `{key}`"),
            found=found,
            attempt=attempt or _KEYS_ARE,
            where=f"{self._path.name}:{line}",
        )


def _seconds(raw: Any) -> float:
    found = Duration(raw).mid
    if found <= 0:
        raise ValueError(f"a length of time is more than 0; found {raw!r}")
    return found


def _times(raw: Any) -> float:
    found = Multiple(raw if isinstance(raw, str) else f"{raw}x").mid
    if found <= 0:
        raise ValueError(f"a multiple is more than 0; found {raw!r}")
    return found


def _peak(raw: Any) -> float:
    found = _times(raw)
    if found < 1:
        raise ValueError(f"a peak is at least 1x the mean; found {raw!r}")
    return found


def _share(raw: Any) -> float:
    return Ratio(raw).mid


def _part(raw: Any) -> float:
    found = _share(raw)
    if not 0 < found < 1:
        raise ValueError(f"a share of the time, more than 0 % and less than 100 %; found {raw!r}")
    return found


def _whole(low: int, high: int) -> _Read:
    def read(raw: Any) -> int:
        found = Count(raw).mid
        if found != int(found) or not low <= found <= high:
            raise ValueError(f"a whole number from {low:,} to {high:,}; found {raw!r}")
        return int(found)

    return read


def _one_of(*names: str) -> _Read:
    def read(raw: Any) -> str:
        if raw not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return str(raw)

    return read


def _flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise TypeError("true or false")
    return raw


_Fields = tuple[tuple[str, str, _Read], ...]
_TOP: Final = {
    *("scenario", "set", "load", "seeds", "requests", "arrivals"),
    *("fault", "spike", "shift", "retries", "breaker"),
}
_PLAIN: Final[_Fields] = (
    ("load", "load", _times),
    ("seeds", "seeds", _whole(1, _MOST_SEEDS)),
    ("requests", "requests", _whole(100, _MOST_REQUESTS)),
)
_FAULT: Final[_Fields] = (
    ("tier", "tier", str),
    ("kind", "fault", _one_of("error", "slow")),
    ("lasts", "lasts_s", _seconds),
    ("factor", "factor", _times),
    ("share", "share", _share),
)
_SPIKE: Final[_Fields] = (("multiple", "multiple", _times), ("lasts", "lasts_s", _seconds))
_SHIFT: Final[_Fields] = (("slice", "slice", str), ("multiple", "multiple", _times))
_RETRIES: Final[_Fields] = (
    ("times", "times", _whole(0, 100)),
    ("backoff", "backoff_s", _seconds),
    ("budget", "budget", _share),
    ("redraw", "redraw", _flag),
)
_BREAKER: Final[_Fields] = (
    ("in_a_row", "in_a_row", _whole(1, 10_000)),
    ("window", "window", _whole(1, 10_000)),
    ("share", "share", _share),
    ("open", "open_s", _seconds),
)
_ARRIVALS: Final[_Fields] = (
    ("kind", "kind", _one_of("poisson", "diurnal", "bursty", "waves")),
    ("peak", "peak", _peak),
    ("period", "period_s", _seconds),
    ("burst", "burst_s", _seconds),
    ("burst_share", "burst_share", _part),
    ("trace", "trace", str),
)


def _trace(path: Path) -> tuple[float, ...]:
    """Read recorded times, one a line or the first column of a CSV: seconds, or dates with time.

    Raises:
        ScenarioError: The file cannot be read, or has too few or too many times.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(
            f"the trace {path} cannot be read",
            asked=f"trace: {path.name}",
            found=str(error),
            attempt=_TRACE_IS,
        ) from error
    times = []
    for number, line in enumerate(lines, start=1):
        word = line.split(",")[0].strip().strip('"')
        try:
            times.append(_instant(word))
        except ValueError as error:
            if number == 1 or not word:
                continue  # a header, or an empty line
            raise ScenarioError(
                f"line {number} of the trace is no time",
                asked=f"trace: {path.name}",
                found=repr(word),
                attempt=_TRACE_IS,
                where=f"{path.name}:{number}",
            ) from error
    if not 2 <= len(times) <= _MOST_TRACE:  # noqa: PLR2004  one time has no rate
        raise ScenarioError(
            f"the trace {path.name} has {len(times):,} times",
            asked=f"trace: {path.name}",
            found=f"{len(times):,} times; from 2 to {_MOST_TRACE:,} can be replayed",
            attempt=_TRACE_IS,
        )
    rising = np.sort(np.array(times))
    if rising[-1] <= rising[0]:
        raise ScenarioError(
            f"all times of the trace {path.name} are the same",
            asked=f"trace: {path.name}",
            found=f"{len(times):,} times within 0 s, which have no rate",
            attempt=_TRACE_IS,
        )
    return tuple((rising - rising[0]).tolist())


def _instant(word: str) -> float:
    try:
        found = float(word)
    except ValueError:
        return datetime.fromisoformat(word[:26]).timestamp()
    if not math.isfinite(found):
        raise ValueError(f"no time: {word}")
    return found
