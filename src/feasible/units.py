"""Numbers with their units: `200 ms`, `$0.005`, `99.9 %`, `50 / s`, `10x`, `2..8 ms`.

A quantity keeps what was typed, so that a brief is written back unchanged, and the value in one
base unit per dimension: seconds, dollars, ratio (0 to 1), per second, multiple, count, bytes.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import ClassVar, Final, Self

__all__ = [
    "DAY_S",
    "MONTH_DAYS",
    "MONTH_S",
    "Amount",
    "Bytes",
    "Count",
    "Duration",
    "Multiple",
    "Quantity",
    "Rate",
    "Ratio",
    "Usd",
    "format_duration",
    "format_ratio",
    "format_usd",
]

DAY_S: Final = 86_400.0
MONTH_DAYS: Final = 365.25 / 12
"""Days of a month, on average over four years."""
MONTH_S: Final = MONTH_DAYS * DAY_S

_DURATIONS: Final[dict[str, float]] = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": DAY_S,
    "day": DAY_S,
    "days": DAY_S,
    "w": 7 * DAY_S,
    "week": 7 * DAY_S,
    "weeks": 7 * DAY_S,
    "month": MONTH_S,
    "months": MONTH_S,
    "year": 12 * MONTH_S,
    "years": 12 * MONTH_S,
}
_BYTES: Final[dict[str, float]] = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}

_UNITS: Final[dict[str, tuple[Decimal, str]]] = {
    "%": (Decimal("0.01"), "ratio"),
    "x": (Decimal(1), "multiple"),
    **{name: (Decimal(str(size)), "duration") for name, size in _DURATIONS.items()},
    **{f"/{name}": (1 / Decimal(str(size)), "rate") for name, size in _DURATIONS.items()},
    **{name: (Decimal(size), "bytes") for name, size in _BYTES.items()},
}

_NUMBER: Final = r"[+-]?\d[\d,_]*(?:\.\d+)?(?:[eE][+-]?\d+)?"
_SHAPE: Final = re.compile(
    rf"^\s*(?P<usd>\$)?\s*(?P<low>{_NUMBER}|\.\d+)"
    rf"(?:\s*\.\.\s*\$?(?P<high>{_NUMBER}|\.\d+))?\s*(?P<unit>%|x|[a-zA-Z]+|/\s*[a-zA-Z]+)?\s*$"
)


class Quantity:
    """A number or a range with its unit.

    Attributes:
        raw: What was typed.
        low: Lower end, in the base unit. Equal to `high` when no range was given.
        high: Upper end, in the base unit.
        dimension: usd, duration, ratio, rate, multiple, bytes or count.
    """

    dimensions: ClassVar[tuple[str, ...]] = (
        "usd",
        "duration",
        "ratio",
        "rate",
        "multiple",
        "bytes",
        "count",
    )
    expects: ClassVar[str] = (
        "a number with its unit, for example 200 ms, $0.005, 3 %, 50 / s or 10x"
    )
    bare: ClassVar[str | None] = "count"

    __slots__ = ("dimension", "high", "low", "raw")

    def __init__(self, raw: str | float) -> None:
        """Read what was typed.

        Raises:
            ValueError: It is not a number, its unit is unknown or missing, or it is not finite.
        """
        low, high, dimension = _read(raw)
        if dimension == "count" and self.bare is not None:
            dimension = self.bare
        if dimension not in self.dimensions:
            found = f"{raw!r} has no unit" if dimension == "count" else f"{raw!r} is a {dimension}"
            msg = f"expected {self.expects}; {found}"
            raise ValueError(msg)
        if not (math.isfinite(low) and math.isfinite(high)):
            msg = f"expected {self.expects}; {raw!r} is not finite"
            raise ValueError(msg)
        if high < low:
            msg = f"the range {raw!r} ends below its start"
            raise ValueError(msg)
        self.raw = raw
        self.low = low
        self.high = high
        self.dimension = dimension

    @classmethod
    def of(cls, raw: str | float) -> Self:
        """Read what was typed; the same as the constructor, for use as a function."""
        return cls(raw)

    @property
    def is_range(self) -> bool:
        """Claim that two ends were given."""
        return self.low != self.high

    @property
    def mid(self) -> float:
        """Give the middle: geometric for a positive range, arithmetic otherwise."""
        if self.low > 0:
            return math.sqrt(self.low * self.high) if self.is_range else self.low
        return (self.low + self.high) / 2

    def __eq__(self, other: object) -> bool:
        """Compare by value and dimension, not by spelling."""
        if not isinstance(other, Quantity):
            return NotImplemented
        return (self.low, self.high, self.dimension) == (other.low, other.high, other.dimension)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash((self.low, self.high, self.dimension))

    def __str__(self) -> str:
        """Give what was typed."""
        return str(self.raw)

    def __repr__(self) -> str:
        """Show the type and what was typed."""
        return f"{type(self).__name__}({self.raw!r})"


class Duration(Quantity):
    """A length of time; base unit seconds."""

    __slots__ = ()
    dimensions = ("duration",)
    expects = "a length of time, for example 200 ms, 30 min or 14 d"

    @property
    def ms(self) -> float:
        """Give the middle in milliseconds."""
        return self.mid * 1e3

    @property
    def days(self) -> float:
        """Give the middle in days."""
        return self.mid / DAY_S


class Usd(Quantity):
    """An amount of money; base unit dollars."""

    __slots__ = ()
    dimensions = ("usd",)
    expects = "dollars, for example $0.005"


class Amount(Quantity):
    """A number whose unit stands in the name of its field (`value_usd`); a `$` may be written."""

    __slots__ = ()
    dimensions = ("usd", "count")
    expects = "a number or a range, for example 1.80 or 1..3"


class Ratio(Quantity):
    """A share, 0 to 1; `3 %` and `0.03` mean the same."""

    __slots__ = ()
    dimensions = ("ratio",)
    expects = "a share, for example 3 % or 0.03"
    bare = "ratio"

    def __init__(self, raw: str | float) -> None:
        """Read a share and hold it to 0..1."""
        super().__init__(raw)
        if self.low < 0 or self.high > 1:
            msg = f"expected a share between 0 and 1 (0 % and 100 %); {raw!r} is outside"
            raise ValueError(msg)


class Rate(Quantity):
    """Events per time; base unit per second."""

    __slots__ = ()
    dimensions = ("rate",)
    expects = "a rate, for example 50 / s or 1500 / h"


class Multiple(Quantity):
    """A multiple of today's load, for example 10x."""

    __slots__ = ()
    dimensions = ("multiple",)
    expects = "a multiple, for example 10x"


class Count(Quantity):
    """A plain number, not negative."""

    __slots__ = ()
    dimensions = ("count",)
    expects = "a plain number, for example 2000"

    def __init__(self, raw: str | float) -> None:
        """Read a count and refuse a negative one."""
        super().__init__(raw)
        if self.low < 0:
            msg = f"expected a count of at least 0; {raw!r} is negative"
            raise ValueError(msg)


class Bytes(Quantity):
    """A size; base unit bytes."""

    __slots__ = ()
    dimensions = ("bytes",)
    expects = "a size, for example 2 MB"


def _read(raw: str | float) -> tuple[float, float, str]:
    """Give low, high and dimension of what was typed, in base units."""
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        msg = f"expected a number with its unit; found {raw!r}"
        raise ValueError(msg)  # noqa: TRY004  bad input is a ValueError throughout
    if not isinstance(raw, str):
        return float(raw), float(raw), "count"
    shape = _SHAPE.match(raw)
    if shape is None:
        msg = f"expected a number with its unit; found {raw!r}"
        raise ValueError(msg)
    low = _number(shape["low"])
    high = low if shape["high"] is None else _number(shape["high"])
    factor, dimension = _unit(shape["unit"], raw=raw, is_usd=shape["usd"] is not None)
    return float(low * factor), float(high * factor), dimension


def _number(text: str) -> Decimal:
    """Read digits exactly, so that `99.9 %` is 0.999 and not its binary neighbour."""
    return Decimal(text.replace(",", "").replace("_", ""))


def _unit(unit: str | None, *, raw: str, is_usd: bool) -> tuple[Decimal, str]:
    """Give the factor to the base unit and the dimension of a unit as typed."""
    if is_usd and unit is not None:
        msg = f"dollars take no second unit; found {raw!r}"
        raise ValueError(msg)
    if unit is None:
        return Decimal(1), "usd" if is_usd else "count"
    found = _UNITS.get(unit.replace(" ", ""))
    if found is None:
        known = ", ".join(["$", *(name for name in _UNITS if not name.startswith("/"))])
        msg = f"unknown unit {unit!r} in {raw!r}; known: {known}, and any time after a slash"
        raise ValueError(msg)
    return found


def format_usd(usd: float | None, *, digits: int = 3) -> str:
    """Show dollars with enough digits to tell small prices apart; unknown stays unknown.

    Examples:
        >>> format_usd(0.00512), format_usd(12000), format_usd(None), format_usd(0.0)
        ('$0.00512', '$12,000', 'unknown', '$0')
    """
    if usd is None:
        return "unknown"
    if usd == 0:
        return "$0"
    if abs(usd) >= 100:  # noqa: PLR2004  above this, whole dollars read better
        return f"${usd:,.0f}"
    decimals = max(2, digits - 1 - math.floor(math.log10(abs(usd))))
    return f"${usd:.{decimals}f}"


def format_ratio(ratio: float | None, *, decimals: int = 1) -> str:
    """Show a share as percent; unknown stays unknown.

    Examples:
        >>> format_ratio(0.9312), format_ratio(None)
        ('93.1 %', 'unknown')
    """
    return "unknown" if ratio is None else f"{ratio * 100:.{decimals}f} %"


def format_duration(seconds: float | None) -> str:
    """Show a length of time in the unit a person would use; unknown stays unknown.

    Examples:
        >>> format_duration(0.0123), format_duration(90), format_duration(14 * 86400)
        ('12.3 ms', '1.5 min', '14 d')
    """
    if seconds is None:
        return "unknown"
    for unit, size in (("d", DAY_S), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e3:.3g} ms"
