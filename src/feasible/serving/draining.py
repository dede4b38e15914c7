"""How a listening socket stops: nobody new is let in, and nobody who is in is turned away."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress
from typing import Final

__all__ = ["address_of", "refuse_new_connections"]

_SO_ATTACH_FILTER: Final = 26
_RETURN: Final = 0x06
"""The instruction of the kernel's packet filter that keeps the first `k` bytes of a packet."""


def refuse_new_connections(sock: socket.socket) -> None:
    """Let the kernel complete no more connections; those that are complete can still be taken.

    Closing a listening socket resets the connections that the kernel has completed and nobody has
    taken yet, whose clients may have sent a request. With a filter on it that drops every packet,
    no more of them arise: they are taken, and then it is closed. Whoever knocks meanwhile hears
    nothing, knocks again a second later, and is then refused.

    Where there is no such filter nothing is done: a connection of the very last moment is reset.
    """
    if sys.platform != "linux":
        return
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(drop_all))
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def address_of(sock: socket.socket) -> str:
    """Give where a socket listens, as `http://host:port`."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
