"""Work that no answer waits for: log lines and traces, on a thread of their own."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["Aside"]

_MOST_WAITING: Final = 8192
_LONGEST_CLOSE_S: Final = 5.0


class Aside:
    """Does one thing after the other on a thread; when too much waits, the newest is dropped.

    Attributes:
        dropped: Things that were not done.
    """

    def __init__(self, most: int = _MOST_WAITING) -> None:
        self.dropped = 0
        self._most = most
        self._waiting: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def put(self, do: Callable[[], None]) -> None:
        """Have something done soon; never waits."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return
        self._waiting.append(do)
        self._wake.set()
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Do what waits, for some seconds at most."""
        self._is_closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_LONGEST_CLOSE_S)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="feasible-aside", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                do = self._waiting.popleft()
                try:
                    do()
                except Exception as error:  # noqa: BLE001  the thread must live; its words may be lost
                    print(f"feasible: {type(error).__name__} in a log or trace", file=sys.stderr)  # noqa: T201
            if self._is_closed:
                return
