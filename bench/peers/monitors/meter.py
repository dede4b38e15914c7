"""Wall time and the growth of the peak of memory of a part of a program."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

__all__ = ["measured"]


def measured(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Do it; give seconds, MiB by which the process's peak grew, and what it gave."""
    before = _peak_mib()
    began = time.perf_counter()
    found = work()
    took = time.perf_counter() - began
    return took, _peak_mib() - before, found


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
