"""What happened, as columns: the history that features are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from feasible.schema.profile import IntArray

__all__ = ["Events"]


def _nothing() -> IntArray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Events:
    """A stream's history.

    Attributes:
        time_ms: When each happened. shape (n,), milliseconds since 1970 (UTC).
        created_ms: When each became known, the same. An event that was known before it happened, by
            a skewed clock, counts as known when it happened.
        keys: Field -> key of each event, shape (n,).
        values: Name -> whole number of each event, shape (n,); money in cents, so that sums are
            exact in any order.
        heard_ms: When the stream said that it is alive, beyond the events themselves; any length.
        ids: What tells an event from another, shape (n,); None where nobody sends one twice.
    """

    time_ms: IntArray
    created_ms: IntArray
    keys: Mapping[str, npt.NDArray[Any]]
    values: Mapping[str, IntArray] = field(default_factory=dict)
    heard_ms: IntArray = field(default_factory=_nothing)
    ids: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.time_ms)
