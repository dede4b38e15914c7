"""Bodies as they arrive: of bounded size, in bounded time, and few large ones at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from feasible.serving.problems import TOO_LARGE, TOO_SLOW, UNAVAILABLE, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive

__all__ = [
    "MAX_DECIDE_BYTES",
    "MAX_LABELS_BYTES",
    "MAX_TEXTS_BYTES",
    "Gone",
    "LargeBodies",
    "body",
    "check_size",
]

MAX_DECIDE_BYTES: Final = 64 * 1024
MAX_TEXTS_BYTES: Final = 1024 * 1024
MAX_LABELS_BYTES: Final = 4 * 1024 * 1024
_SLOWEST_S: Final = 30.0
_MOST_LARGE: Final = 16


class Gone(Exception):
    """The client went away before its body was whole."""


def check_size(whole: bytes, limit: int) -> None:
    """Refuse a whole body of more bytes than that.

    Raises:
        Refused: It is larger.
    """
    if len(whole) > limit:
        raise _too_large(limit, found=f"{len(whole):,} bytes")


async def body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """Read a body of bounded size.

    Args:
        headers: Those of its request.
        receive: Gives its parts.
        limit: Bytes.

    Raises:
        Refused: It is larger, or did not arrive in time.
        Gone: The client went away.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit, found=f"{int(length):,} bytes")
    message = await receive()
    part: bytes = message.get("body", b"")
    if message["type"] != "http.disconnect" and not message.get("more_body", False):
        check_size(part, limit)
        return part
    try:
        async with asyncio.timeout(_SLOWEST_S):  # for bodies in parts alone: a timer is not free
            return await _parts(message, receive, limit)
    except TimeoutError as error:
        raise Refused(
            "the body did not arrive in time",
            status=TOO_SLOW,
            asked=f"all of it within {_SLOWEST_S:g} s",
            headers=((b"connection", b"close"),),
        ) from error


async def _parts(message: Mapping[str, object], receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        assert isinstance(part, bytes)  # noqa: S101  by the protocol
        size += len(part)
        if size > limit:
            raise _too_large(limit, found=f"more than {limit:,} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


class LargeBodies:
    """Lets few large bodies be in memory at once.

    Args:
        most: How many.
    """

    def __init__(self, most: int = _MOST_LARGE) -> None:
        self._most = most
        self._now = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold the place of one.

        Raises:
            Refused: There are too many already.
        """
        if self._now >= self._most:
            raise Refused(
                "too many large bodies are being read",
                status=UNAVAILABLE,
                found=f"{self._now} at once",
                attempt="send it again after the time in Retry-After",
                retry_after_s=1,
            )
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1


def _too_large(limit: int, *, found: str) -> Refused:
    return Refused(
        "the body is too large",
        status=TOO_LARGE,
        asked=f"at most {limit:,} bytes",
        found=found,
        attempt="send less text, or fewer at a time",
    )
