"""What a feature is: sums over a stretch of event time, declared once for training and serving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from feasible.errors import FeatureError, nearest

__all__ = ["DAY_MS", "Feature", "FeatureSet", "Ratio", "Window", "needed"]

T = TypeVar("T")

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Window:
    """Events of one key in a stretch of event time, counted or summed.

    For a request about time `at`, asked when everything created by `known_at` was known, these are
    the events of the key with `at - delay - length < time <= at - delay` and `created <= known_at`.
    What arrived late is not there yet; what happened later never is.

    Attributes:
        name: As a column is called.
        source: Stream that the events come from.
        key: Field of event and request that must be equal.
        length_ms: Length of the stretch. Milliseconds, > 0.
        delay_ms: How long before `at` the stretch ends. Milliseconds, >= 0.
        value: Whole number of each event that is summed; None counts events.
    """

    name: str
    source: str
    key: str
    length_ms: int
    delay_ms: int = 0
    value: str | None = None

    def __post_init__(self) -> None:
        if self.length_ms <= 0 or self.delay_ms < 0:
            raise FeatureError(
                f"window `{self.name}` covers no time that is past",
                asked="length_ms > 0 and delay_ms >= 0",
                found=f"length_ms {self.length_ms}, delay_ms {self.delay_ms}",
            )

    @property
    def reach_ms(self) -> int:
        """Give how far back it looks. Milliseconds."""
        return self.length_ms + self.delay_ms


@dataclass(frozen=True, slots=True)
class Ratio:
    """One window over another, for example frauds over payments; 0 where there is nothing below.

    Attributes:
        name: As a column is called.
        over: Numerator.
        under: Denominator.
        prior: Added to the denominator, so that a few events say little.
    """

    name: str
    over: Window
    under: Window
    prior: float = 0.0


Feature: TypeAlias = Window | Ratio


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The features of one model, and how old what they are made of may be.

    Attributes:
        features: Columns, in their order.
        max_age_ms: Source -> most time since it was last heard of; older is stale. A source that is
            not named never is.
    """

    features: tuple[Feature, ...]
    max_age_ms: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FeatureError("two features have one name", found=", ".join(twice))
        unknown = sorted(set(self.max_age_ms) - self.sources)
        if unknown:
            raise FeatureError(
                f"max_age_ms: no window reads source `{unknown[0]}`",
                found=f"sources: {', '.join(sorted(self.sources))}",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Give the columns' names."""
        return tuple(feature.name for feature in self.features)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Give every window that is needed, once."""
        return tuple(dict.fromkeys(self._windows()))

    @property
    def sources(self) -> frozenset[str]:
        """Give the streams that are read."""
        return frozenset(window.source for window in self._windows())

    def reach_ms(self, source: str) -> int:
        """Give how far back a stream is read. Milliseconds."""
        return max(window.reach_ms for window in self._windows() if window.source == source)

    def _windows(self) -> Iterator[Window]:
        for feature in self.features:
            if isinstance(feature, Window):
                yield feature
            else:
                yield from (feature.over, feature.under)


def needed(found: Mapping[str, T], name: str, what: str) -> T:
    """Give what a feature names.

    Args:
        found: What is there, by its name.
        name: What is looked for.
        what: What it is, in words.

    Raises:
        FeatureError: It is not there.
    """
    try:
        return found[name]
    except KeyError as error:
        close = nearest(name, found)
        raise FeatureError(
            f"features need the {what} `{name}`",
            found=f"there: {', '.join(found) or 'none'}",
            attempt=f"`{close}`?" if close else None,
        ) from error
