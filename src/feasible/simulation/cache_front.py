"""A cache before all tiers, as the event calendar sees it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from feasible.simulation.design import CacheFront, Design
from feasible.simulation.draws import Draws
from feasible.simulation.unhurried import unhurried

__all__ = ["Front", "front_of"]


class Front(Protocol):
    """What is asked before any tier."""

    answers_ms: float

    def has(self, i: int, now: float) -> bool:
        """Claim that a request is answered from memory."""
        ...

    def keep(self, i: int, now: float) -> None:
        """Remember the answer of a request."""
        ...


def front_of(design: Design, draws: Draws) -> Front | None:
    """Give the cache of a design; None without one."""
    if design.cache is None:
        return None
    if design.cache.hit is not None:
        return _Known(design.cache, draws)
    return _Filling(design.cache, draws)


class _Known:
    """A cache whose hit ratio is known."""

    def __init__(self, cache: CacheFront, draws: Draws) -> None:
        self.answers_ms = cache.answers_ms
        self._hits = draws.hits.tolist()

    def has(self, i: int, now: float) -> bool:
        """Claim that a request is answered from memory."""
        del now
        hit: bool = self._hits[i]
        return hit

    def keep(self, i: int, now: float) -> None:
        """Remember nothing: what it has is given."""


class _Filling:
    """A cache that is empty at first, forgets what is old, and then what was used longest ago."""

    def __init__(self, cache: CacheFront, draws: Draws) -> None:
        self.answers_ms = cache.answers_ms
        self._cache = cache
        self._keys = draws.keys.tolist()
        self._is_remembered = unhurried(draws.design).is_remembered[draws.row].tolist()
        self._filled_s: OrderedDict[int, float] = OrderedDict()
        self._flushes = sorted(cache.flush_s, reverse=True)

    def has(self, i: int, now: float) -> bool:
        """Claim that a request is answered from memory."""
        while self._flushes and self._flushes[-1] <= now:
            self._flushes.pop()
            self._filled_s.clear()
        if not self._is_remembered[i]:
            return False
        key = self._keys[i]
        filled = self._filled_s.get(key)
        if filled is None or now - filled >= self._cache.ttl_s:
            return False
        self._filled_s.move_to_end(key)
        return True

    def keep(self, i: int, now: float) -> None:
        """Remember the answer of a request, unless it is a person's."""
        if not self._is_remembered[i]:
            return
        self._filled_s[self._keys[i]] = now
        self._filled_s.move_to_end(self._keys[i])
        if len(self._filled_s) > self._cache.size:
            self._filled_s.popitem(last=False)
