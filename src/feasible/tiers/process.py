"""A tier in a process of its own, as its parent holds it.

Both ends speak JSON in frames over a socket that only they have; nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from feasible.errors import FeasibleError, RequestError, TierError, TierUnavailable
from feasible.schema import Answer

__all__ = ["HEAD", "Question", "Recipe", "Reply", "TierProcess", "frame", "length_of"]

HEAD: Final = 4
"""Bytes before each frame that say how long it is."""
_LONGEST_FRAME: Final = 16 * 2**20
_LONGEST_START_S: Final = 120.0
_END_S: Final = 1.0
_LONGEST_TEXT: Final = 500


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How another process makes the same tier.

    Attributes:
        make: `module:function` that gives the tier.
        arguments: What the function is called with.
        model: Folder of what the tier has learnt; None when it learns nothing.
        version: The tier's, once it is known; one that has changed on the disk meanwhile is
            refused.
        labels: The closed set of answers; empty when any value will do.
    """

    make: str
    arguments: dict[str, Any]
    model: str | None = None
    version: str = ""
    labels: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """One request, with the seconds that it may take."""

    request: dict[str, Any]
    within_s: float


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or why there is none."""

    answer: Answer | None = None
    kind: str | None = None
    """`request`, `unavailable` or `tier`: whose fault it is that there is no answer."""
    message: str = ""
    asked: str | None = None
    found: str | None = None
    attempt: str | None = None
    retry_after_s: float | None = None
    was_sent: bool = True

    def error(self) -> FeasibleError:
        """Give the error that the tier raised."""
        parts = {"asked": self.asked, "found": self.found, "attempt": self.attempt}
        if self.kind == "request":
            return RequestError(self.message, **parts)
        if self.kind == "unavailable":
            wait_s = self.retry_after_s
            return TierUnavailable(
                self.message, **parts, retry_after_s=wait_s, was_sent=self.was_sent
            )
        return TierError(self.message, **parts)


def frame(value: object) -> bytes:
    """Give a value as it goes over the socket."""
    body = msgspec.json.encode(value)
    return len(body).to_bytes(HEAD, "big") + body


def length_of(data: bytes | bytearray) -> int | None:
    """Give how many bytes a frame has, its head included; None when that is not known yet.

    Raises:
        ValueError: It is longer than anything that is sent.
    """
    if len(data) < HEAD:
        return None
    length = int.from_bytes(data[:HEAD], "big")
    if length > _LONGEST_FRAME:
        raise ValueError(f"a frame of {length:,} bytes")
    return HEAD + length


class TierProcess:
    """A child that answers for one tier, as its parent holds it.

    Args:
        name: The tier.
        recipe: How the child makes it.
        environment: The child's environment; ours when absent.

    Raises:
        TierError: It ended, or was not ready in time; no process is left behind.
    """

    def __init__(
        self, name: str, recipe: Recipe, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.sock, theirs = socket.socketpair()
        self._name = name
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-m", "feasible.tiers.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a tier prints is no part of what the service says
                start_new_session=True,  # an interrupt at the terminal is for the service
                env=None if environment is None else dict(environment),
            )
        try:
            self.sock.sendall(frame(recipe))
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """Give its process id."""
        return self._process.pid

    def wait_ready(self, *, within_s: float = _LONGEST_START_S) -> None:
        """Wait until it has made its tier; then `sock` is ready for questions.

        Raises:
            TierError: It ended, or was not ready in time; it is gone then.
        """
        try:
            fault = self._fault_at_start(time.monotonic() + within_s)
        except BaseException:
            self.end()
            raise
        if fault is not None:
            self.end()
            raise TierError(
                f"tier {self._name!r} does not start in a process of its own", found=fault
            )
        self.sock.setblocking(False)

    def _fault_at_start(self, until_s: float) -> str | None:
        """Read what it says of its start; None when it is ready."""
        data = bytearray()
        while (length := length_of(data)) is None or len(data) < length:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([self.sock], [], [], left_s)[0]:
                return "it was not ready in time"
            more = self.sock.recv(65536)
            if not more:
                return self.how_it_ended()
            data += more
        reply = msgspec.json.decode(bytes(data[HEAD:]), type=Reply)
        return None if reply.kind is None else f"{reply.message}: {reply.found}"[:_LONGEST_TEXT]

    def how_it_ended(self) -> str:
        """Say how it ended, once its socket is closed."""
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "it closed its socket"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with exit code {code}"

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()

    def end(self) -> None:
        """End it and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        self.sock.close()
