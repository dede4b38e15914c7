"""Other servers that do the desk's classification over HTTP, each in an environment of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import msgspec
from bench.cores import SERVER_CORE, descendants, on_core
from bench.peers.environment import PeerFailed, environment, last_words

from feasible.testing import Call, post

__all__ = ["PEERS", "Peer", "running_peer"]

_SOURCES = Path(__file__).parent / "serving"
_START_S = 180.0
_STOP_S = 15.0
_SAID = 300


@dataclass(frozen=True)
class Peer:
    """A server that does the same work as ours, without a ledger.

    Attributes:
        name: As its makers write it.
        folder: Its files in `bench/peers/serving`, and its environment.
        package: Whose version is shown.
        target: Decisions a second of ours over its own that we promise at least.
        path: Where it answers.
        body: Gives the body for a text.
        note: What is particular about how it is run.
    """

    name: str
    folder: str
    package: str
    target: float
    path: str
    body: Callable[[str], Any]
    note: str

    def call(self, url: str, text: str, team: str) -> Call:
        """Give the request that asks for the team of a text."""
        body = msgspec.json.encode(self.body(text))
        return post(url + self.path, body, expected=f'"{team}"'.encode())

    @property
    def version(self) -> str:
        """Give the version that is pinned."""
        lines = (_SOURCES / self.folder / "requirements.txt").read_text().splitlines()
        return next(
            line.partition("==")[2] for line in lines if line.startswith(f"{self.package}=")
        )


PEERS = (
    Peer(
        "MLServer", "mlserver", "mlserver", 2.5, "/v2/models/desk/infer",
        lambda text: {
            "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]
        },
        "in one process (`parallel_workers` 0), which is its fastest on one core",
    ),
    Peer(
        "LitServe", "litserve", "litserve", 6.0, "/predict", lambda text: {"text": text},
        "one worker, one API server",
    ),
    Peer(
        "LiteLLM proxy", "litellm", "litellm", 40.0, "/v1/chat/completions",
        lambda text: {"model": "desk", "messages": [{"role": "user", "content": text}]},
        "the rules are a custom provider in its own process; no key, no database",
    ),
    Peer(
        "Ray Serve", "ray", "ray", 40.0, "/", lambda text: {"text": text},
        "default mode, one replica, no dashboard",
    ),
)  # fmt: skip


@contextmanager
def running_peer(peer: Peer, probe: tuple[str, str]) -> Iterator[str]:
    """Install a peer where it is not, start it on the server's core, and stop it in the end.

    Args:
        peer: The peer.
        probe: A text and its team; the peer is ready when it has answered this rightly.

    Raises:
        PeerFailed: It cannot be installed or started here; the message says why.
    """
    python = environment(_SOURCES / peer.folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    folder = _SOURCES / peer.folder
    with TemporaryFile("w+") as said:
        with on_core(SERVER_CORE):
            process = subprocess.Popen(
                [str(python), "server.py", str(port)],
                cwd=folder,
                env=_surroundings(),
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _await_answer(peer, url, probe, process, said)
            yield url
        finally:
            _stop(process)


def _surroundings() -> dict[str, str]:
    """Give the environment variables of a peer: ours without Python's, and the desk's folder."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return ours | {"PYTHONPATH": str(_SOURCES), "PYTHONUNBUFFERED": "1"}


def _await_answer(
    peer: Peer, url: str, probe: tuple[str, str], process: subprocess.Popen[bytes], said: IO[str]
) -> None:
    call = peer.call(url, *probe)
    body = call.sent.partition(b"\r\n\r\n")[2]
    request = urllib.request.Request(  # noqa: S310  our own address
        url + peer.path, data=body, headers={"Content-Type": "application/json"}
    )
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  as above
                content = answer.read()
            if call.expected in content:
                return
            raise PeerFailed(f"answers wrongly: {content[:_SAID].decode(errors='replace')}")
        time.sleep(0.2)
    said.seek(0)
    raise PeerFailed(f"did not start: {last_words(said.read())}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Tell the peer to stop, and end whatever of it is still there."""
    family = descendants(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    for pid in family[::-1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
