"""What a supervisor and one of its workers say to each other, a line of JSON each."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from feasible import errors
from feasible.errors import FeasibleError

__all__ = ["Channel", "error_told", "send_failure", "told_error"]

_LONGEST_LINE: Final = 16 * 2**20
_LOG: Final = logging.getLogger(__name__)

Handler = Callable[[str, Any], Awaitable[Any]]
"""Given what is asked and with which body; returns the body of the answer."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message: something told, asked (with a number) or answered (with that number)."""

    what: str = ""
    number: int | None = None
    body: Any = None
    error: dict[str, Any] | None = None
    is_answer: bool = False


_DECODER: Final = msgspec.json.Decoder(_Line)


class Channel:
    """One end of a connection on which both sides tell and ask.

    Args:
        handle: Told everything that arrives; what it returns, or raises, answers what was asked.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def open(self, sock: socket.socket) -> None:
        """Take one end of a pair of sockets; from then on something can be told and asked."""
        sock.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(
            sock=sock, limit=_LONGEST_LINE
        )

    async def listen(self) -> None:
        """Handle what arrives until the other side is gone."""
        assert self._reader is not None  # noqa: S101  opened before
        assert self._writer is not None  # noqa: S101  the same
        try:
            while line := await self._reader.readline():
                self._take(_DECODER.decode(line))
        except (OSError, ValueError, msgspec.MsgspecError):
            _LOG.exception("the other side of a channel broke off")
        finally:
            self._writer.close()
            self._writer = None
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(_gone())
            self._asked.clear()

    def tell(self, what: str, body: Any = None) -> None:
        """Say something that needs no answer; nothing happens when nobody listens any more."""
        self._write(_Line(what=what, body=body))

    async def ask(self, what: str, body: Any = None, *, within_s: float) -> Any:
        """Ask something.

        Raises:
            FeasibleError: The other side raised it, is gone, or did not answer in time.
        """
        if self._writer is None:
            raise _gone()
        number = next(self._numbers)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        self._write(_Line(what=what, number=number, body=body))
        try:
            return await asyncio.wait_for(future, within_s)
        except TimeoutError as error:
            raise FeasibleError(
                "another process of this service does not answer",
                asked=f"`{what}` within {within_s:g} s",
                attempt="ask again",
            ) from error
        finally:
            self._asked.pop(number, None)

    def _write(self, line: _Line) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(line) + b"\n")

    def _take(self, line: _Line) -> None:
        if not line.is_answer:
            task = asyncio.ensure_future(self._answer(line))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            return
        future = self._asked.get(line.number or 0)
        if future is None or future.done():
            return
        if line.error is None:
            future.set_result(line.body)
        else:
            future.set_exception(told_error(line.error))

    async def _answer(self, line: _Line) -> None:
        body, error = None, None
        try:
            body = await self._handle(line.what, line.body)
        except FeasibleError as found:
            error = error_told(found)
        except Exception as found:  # noqa: BLE001  the edge of a process: whoever asked hears of it
            _LOG.exception("`%s` could not be answered", line.what)
            error = error_told(FeasibleError(f"`{line.what}` failed", found=repr(found)))
        if line.number is not None:
            self._write(_Line(number=line.number, body=body, error=error, is_answer=True))


def send_failure(sock: socket.socket, error: FeasibleError) -> None:
    """Say, before any loop runs, why a worker cannot start."""
    line = _Line(what="failed", body=error_told(error))
    sock.sendall(msgspec.json.encode(line) + b"\n")


def told_error(told: dict[str, Any]) -> FeasibleError:
    """Make the error that another process raised."""
    kind = getattr(errors, str(told.get("kind")), FeasibleError)
    if not (isinstance(kind, type) and issubclass(kind, FeasibleError)):
        kind = FeasibleError
    parts = {name: told.get(name) for name in ("asked", "found", "attempt", "where")}
    try:
        return kind(str(told.get("message")), **parts)
    except TypeError:  # one that has more to tell than these
        return FeasibleError(str(told.get("message")), **parts)


def error_told(error: FeasibleError) -> dict[str, Any]:
    """Give an error as data, for another process to raise."""
    return {
        "kind": next(c.__name__ for c in type(error).__mro__ if c.__name__ in errors.__all__),
        "message": error.message,
        "asked": error.asked,
        "found": error.found,
        "attempt": error.attempt,
        "where": error.where,
    }


def _gone() -> FeasibleError:
    return FeasibleError("another process of this service is gone", attempt="ask again")
