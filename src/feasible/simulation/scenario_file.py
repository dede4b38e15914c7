"""A scenario as a file: every key that it may have, and what is said of one that it may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from feasible.errors import ScenarioError, nearest
from feasible.simulation.design import (
    Batching,
    Breaking,
    Quota,
    Retrying,
    Scaling,
    Tokens,
)
from feasible.simulation.scenario import KINDS, Scenario
from feasible.simulation.trace_file import read_trace
from feasible.units import Count, Duration, Multiple, Ratio, Usd

__all__ = ["named_scenario", "read_scenario"]

_KEYS_ARE: Final = "the keys and their values are listed in docs/reference/simulation.md"
_MOST_REQUESTS, _MOST_SEEDS, _HOURS = 1_000_000, 100, 24


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
            out = replace(out, **self._known(self._section(section), fields))
        return replace(
            out,
            tiers=self._tiers(),
            people=self._known(self._section("people"), _PEOPLE),
            arrivals=self._arrivals(),
            retrying=self._record("retries", _RETRIES, Retrying),
            breaking=self._record("breaker", _BREAKER, Breaking),
        )

    def _tiers(self) -> dict[str, dict[str, Any]]:
        """Read what tiers can bear, tier by tier."""
        out = {}
        for name, part in self._section("tiers").items():
            tier = self._mapping(part, str(name), self._section("tiers"))
            self._only(tier, set(_TIER))
            out[str(name)] = {
                section: self._record(section, *_TIER[section], root=tier) for section in tier
            }
        return out

    def _known(self, part: Any, fields: _Fields) -> dict[str, Any]:
        self._only(part, {name for name, _, _ in fields})
        return self._fields(part, fields)

    def _record(self, section: str, fields: _Fields, made: type, *, root: Any = None) -> Any:
        root = self._root if root is None else root
        if section not in root:
            return None
        part = self._mapping(root[section], section, root)
        values = self._known(part, fields)
        attributes = {attribute: name for name, attribute, _ in fields}
        for needed in (one.name for one in dataclass_fields(made) if one.default is MISSING):
            if needed not in values:
                needed = attributes[needed]  # noqa: PLW2901  as the file calls it
                raise self._error(
                    root,
                    section,
                    f"`{section}` needs `{needed}`",
                    found=f"it has {', '.join(part) or 'nothing'}",
                    attempt=f"add `{needed}` to it",
                )
        return made(**values)

    def _arrivals(self) -> dict[str, Any]:
        values = self._known(self._section("arrivals"), _ARRIVALS)
        trace = values.pop("trace", None)
        if trace is not None:
            values["trace_s"] = read_trace(self._path.parent / trace)
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


def _any_seconds(raw: Any) -> float:
    found = Duration(raw).mid
    if found < 0:
        raise ValueError(f"a length of time is at least 0; found {raw!r}")
    return found


def _number(raw: Any) -> float:
    found = Count(raw).mid
    if found < 0:
        raise ValueError(f"a number of at least 0; found {raw!r}")
    return found


def _positive(raw: Any) -> float:
    found = _number(raw)
    if found <= 0:
        raise ValueError(f"a number above 0; found {raw!r}")
    return found


def _per_million(raw: Any) -> float:
    found = Usd(raw).mid
    if found < 0:
        raise ValueError(f"a price is at least $0; found {raw!r}")
    return found / 1e6


def _shift(raw: Any) -> tuple[float, float]:
    hours = [_number(hour) for hour in raw] if isinstance(raw, Sequence) else []
    if len(hours) != 2 or not 0 <= hours[0] < hours[1] <= _HOURS:  # noqa: PLR2004  from and to
        raise ValueError(f"the first and the last hour of the day, such as [8, 18]; found {raw!r}")
    return hours[0], hours[1]


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
    *("fault", "spike", "shift", "retries", "breaker", "tiers", "people", "decay_per_day"),
}
_PLAIN: Final[_Fields] = (
    ("load", "load", _times),
    ("seeds", "seeds", _whole(1, _MOST_SEEDS)),
    ("requests", "requests", _whole(100, _MOST_REQUESTS)),
    ("decay_per_day", "decay_per_day", _share),
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
_PEOPLE: Final[_Fields] = (
    ("per_hour", "per_hour", _positive),
    ("minutes_each", "minutes_each", _positive),
    ("shift", "shift_hours", _shift),
)
_QUOTA: Final[_Fields] = (
    ("calls", "calls", _positive),
    ("reads", "reads", _positive),
    ("writes", "writes", _positive),
)
_BATCHING: Final[_Fields] = (
    ("most", "most", _whole(1, 10_000)),
    ("wait", "wait_s", _any_seconds),
    ("base", "base_s", _any_seconds),
    ("each", "each_s", _seconds),
)
_SCALING: Final[_Fields] = (
    ("every", "every_s", _seconds),
    ("target", "target", _share),
    ("lag", "lag_s", _any_seconds),
    ("least", "least", _whole(1, 100_000)),
    ("most", "most", _whole(1, 100_000)),
)
_TOKENS: Final[_Fields] = (
    ("reads", "reads", _positive),
    ("writes", "writes", _positive),
    ("spread", "spread", _number),
    ("first", "first_s", _any_seconds),
    ("read", "read_s", _any_seconds),
    ("read_squared", "read2_s", _any_seconds),
    ("write", "write_s", _any_seconds),
    ("turns", "turns", _whole(1, 1000)),
    ("turn_tokens", "turn_tokens", _number),
    ("prefix", "prefix", _number),
    ("usd_per_million_read", "usd_read", _per_million),
    ("usd_per_million_write", "usd_write", _per_million),
    ("usd_per_million_cached", "usd_cached", _per_million),
)
_TIER: Final[Mapping[str, tuple[_Fields, type]]] = {
    "quota": (_QUOTA, Quota),
    "batching": (_BATCHING, Batching),
    "scaling": (_SCALING, Scaling),
    "tokens": (_TOKENS, Tokens),
}
