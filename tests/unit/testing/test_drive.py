"""The load generator tells the truth about a server that answers, stalls, refuses or breaks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from feasible.testing import drive_closed, drive_open, post
from feasible.testing.drive import schedule

Reply = Callable[[int], bytes]


def ok(_number: int) -> bytes:
    """Give a right answer."""
    return b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"a": "red"}'


@contextmanager
def serving(reply: Reply) -> Iterator[str]:
    """Answer on a free port, one thread for each connection; requests are counted from 0."""
    numbers = iter(range(10**9))
    turn = threading.Lock()

    def talk(connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(65_536):
                assert request.startswith(b"POST /ask HTTP/1.1\r\n")
                with turn:  # one at a time, as an event loop that stalls
                    answer = reply(next(numbers))
                if not answer:
                    return
                connection.sendall(answer)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_constant_arrivals_are_evenly_spaced() -> None:
    """Each is as far from the last as the rate says, and none comes after the end."""
    moments = schedule(200, 3, arrivals="constant", seed=0)
    assert len(moments) == 600
    assert np.diff(moments) == pytest.approx(1 / 200)
    assert moments[-1] < 3


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() -> None:
    """Gaps are exponential: as far spread as they are long; the same seed gives the same ones."""
    moments = schedule(500, 40, arrivals="poisson", seed=3)
    gaps = np.diff(moments)
    assert len(moments) == pytest.approx(20_000, abs=4 * 20_000**0.5)
    assert float(np.std(gaps) / np.mean(gaps)) == pytest.approx(1.0, abs=0.05)
    assert moments == sorted(moments) == schedule(500, 40, arrivals="poisson", seed=3)
    assert moments != schedule(500, 40, arrivals="poisson", seed=4)


@pytest.mark.slow
def test_a_server_that_stalls_is_charged_for_everybody_who_was_due_meanwhile() -> None:
    """One stall of 1 s out of 2 s: a closed loop hides it, an open loop shows it in the p99."""

    def stall_once(number: int) -> bytes:
        if number == 50:
            time.sleep(1.0)
        return ok(number)

    call = post("http://localhost/ask", b"{}", expected=b'"red"')
    with serving(stall_once) as url:
        opened = drive_open(url, [call], connections=4, per_s=100, seconds=2, arrivals="constant")
    with serving(stall_once) as url:
        closed = drive_closed(url, [call], connections=4, seconds=2)
    assert opened.answered == 200
    assert opened.errors == closed.errors == 0
    # Half of all requests was due while it stalled, the first of them 1 s before its end.
    assert opened.percentile_ms(0.99) > 900
    assert opened.percentile_ms(0.75) > 400
    assert opened.queued > 80
    assert max(closed.latencies_ms) > 900
    assert closed.percentile_ms(0.99) < 500


def test_the_closed_loop_keeps_one_request_in_flight_on_each_connection() -> None:
    """So that it does as many as the server's time for one allows: 5 ms each, one at a time."""

    def slow(number: int) -> bytes:
        time.sleep(0.005)
        return ok(number)

    with serving(slow) as url:
        call = post(f"{url}/ask", b"{}", expected=b'"red"')
        drive = drive_closed(url, [call], connections=3, seconds=1)
    assert 3 <= drive.answered <= 203
    assert drive.errors == 0
    assert min(drive.latencies_ms) >= 5
    assert drive.answers_per_s == pytest.approx(drive.answered / drive.wall_s)


def test_refusals_wrong_answers_and_broken_connections_are_counted_apart() -> None:
    """Nothing that went wrong is an answer, and a refusal without `Retry-After` is noted."""

    def odd(number: int) -> bytes:
        return [
            ok(number),
            b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"a": "blue"}',
            b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 429 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            b"",
        ][number % 5]

    with serving(odd) as url:
        call = post(f"{url}/ask", b"{}", expected=b'"red"')
        drive = drive_open(url, [call], connections=1, per_s=200, seconds=0.5, arrivals="constant")
    assert (drive.answered, drive.wrong) == (40, 20)
    assert drive.refused == {503: 20, 429: 20}
    assert drive.bare_refusals == 20
    assert sum(drive.broken.values()) == 20
    assert drive.errors == 80


def test_an_answer_may_come_in_pieces_or_in_chunks() -> None:
    """A connection is free again only when its answer is whole."""
    pieces = b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n"red"\r\n0\r\n\r\n'
    with serving(lambda number: ok(number) if number % 2 else pieces) as url:
        call = post(f"{url}/ask", b"{}", expected=b'"red"')
        drive = drive_open(url, [call], connections=1, per_s=100, seconds=0.2, arrivals="constant")
    assert (drive.answered, drive.errors) == (20, 0)


def test_a_server_that_never_answers_leaves_every_request_broken() -> None:
    """What waits for it ends with the grace, not never."""
    hang = threading.Event()

    def never(_number: int) -> bytes:
        hang.wait(20)
        return b""

    with serving(never) as url:
        call = post(f"{url}/ask", b"{}", expected=b"")
        drive = drive_open(url, [call], connections=2, per_s=50, seconds=0.2, grace_s=0.3)
        hang.set()
    assert drive.answered == 0
    assert drive.broken["no answer came"] == 2
    assert drive.errors == len(schedule(50, 0.2, arrivals="poisson", seed=0))


def test_more_requests_than_may_wait_are_given_up() -> None:
    """The generator's own memory is bounded, and says what it did not send."""

    def stall(number: int) -> bytes:
        time.sleep(0.5 if number == 0 else 0)
        return ok(number)

    with serving(stall) as url:
        call = post(f"{url}/ask", b"{}", expected=b'"red"')
        drive = drive_open(
            url,
            [call],
            connections=1,
            per_s=200,
            seconds=0.4,
            arrivals="constant",
            most_waiting=10,
        )
    assert drive.given_up >= 60
    assert drive.answered + drive.given_up == 80
