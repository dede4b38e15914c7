"""The exact cache: a question asked before gets the answer it got before."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from feasible.clock import Clock, SystemClock
from feasible.schema import ABSTAIN, Answer, Request, TierKind
from feasible.tiers.fingerprint import version_of

__all__ = ["ExactCache", "request_key"]

_CODE: Final = "exact-cache-1"


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    probability: float | None
    until_s: float


def request_key(request: Request, *, text_field: str = "text") -> str:
    """Give the key under which a request is remembered: a hash, so that no text is kept in it.

    Two requests share a key when their JSON is the same, apart from the order of keys and, in
    `text_field` alone, apart from Unicode composition (NFC), upper and lower case, and white space.
    Nothing else is smoothed away: punctuation, accents and numbers can turn an answer around.

    Examples:
        >>> request_key({"text": "My  CARD?"}) == request_key({"text": "my card?"})
        True
        >>> request_key({"text": "my card"}) == request_key({"text": "my card?"})
        False
    """
    fields = dict(request)
    text = fields.get(text_field)
    if isinstance(text, str):
        # Folding case can undo composition ("ǰ"), so that NFC comes last as well.
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
        fields[text_field] = " ".join(folded.split())
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


class ExactCache:
    """Answers a request that was answered before, for a while.

    A hit gives the remembered answer with `score` = the calibrated probability it was accepted
    with, so that a repeat is exactly as trustworthy as the answer it repeats. It starts empty:
    asked about the rows of a profile it abstains.

    Safe to use from several threads; each process has its own.

    Args:
        ttl_s: Seconds an answer is remembered; None for as long as there is room.
        size: Most answers remembered; beyond it the one not used for longest is forgotten.
        text_field: Field in which case, white space and Unicode composition do not matter.
        clock: Where time comes from.

    Raises:
        ValueError: `ttl_s` or `size` is not above 0.
    """

    kind: Final = TierKind.CACHE
    simulated: Final = False

    def __init__(
        self,
        *,
        ttl_s: float | None = None,
        size: int = 10_000,
        text_field: str = "text",
        clock: Clock | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"a cache holds at least 1 answer; found size {size}")
        if ttl_s is not None and not ttl_s > 0:
            raise ValueError(f"a cache remembers for more than 0 s; found ttl_s {ttl_s}")
        self.name = "exact_cache"
        # Nobody bills for a look-up in our own memory; the machine's hour is the serving layer's.
        self.usd_per_call: float | None = 0.0
        self.worst_usd_per_call: float | None = 0.0
        self._ttl_s = float("inf") if ttl_s is None else float(ttl_s)
        self._size = size
        self._text_field = text_field
        self._clock = clock or SystemClock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Give the number of answers held, expired ones included."""
        return len(self._entries)

    @property
    def version(self) -> str:
        """Give a hash of the settings; what is remembered does not count."""
        return version_of(_CODE, {"ttl_s": self._ttl_s, "text_field": self._text_field})

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Give the remembered answers; abstain where nothing is remembered or it is too old."""
        return [self._look_up(request) for request in batch]

    def remember(self, request: Request, value: Any, score: float | None) -> None:
        """Keep an accepted answer.

        Args:
            request: What was asked.
            value: What was answered; None is not an answer and is not kept.
            score: Calibrated probability it was accepted with. Ratio; None when unknown.
        """
        if value is None:
            return
        key = request_key(request, text_field=self._text_field)
        entry = _Entry(copy.deepcopy(value), score, self._clock.monotonic() + self._ttl_s)
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def _look_up(self, request: Request) -> Answer:
        key = request_key(request, text_field=self._text_field)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return ABSTAIN
            if self._clock.monotonic() >= entry.until_s:
                del self._entries[key]
                return ABSTAIN
            self._entries.move_to_end(key)
        return Answer(copy.deepcopy(entry.value), score=entry.probability)
