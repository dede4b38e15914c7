from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

SUPERVISOR = """
import os, sys
from feasible.serving import Supervisor, listen
from feasible.errors import FeasibleError
worker = sys.argv[1]
sock = listen("127.0.0.1", 0)
supervisor = Supervisor(
    lambda number, listening, control: [sys.executable, "-c", worker, str(control)],
    workers=2,
    sock=sock,
    on_ready=lambda address, told: os.write(1, f"ready {told}\\n".encode()),
)
try:
    supervisor.run()
except FeasibleError as error:
    print(f"{type(error).__name__}: {error}", flush=True)
    sys.exit(error.exit_code)
"""
READY = """
import os, socket, sys
sock = socket.socket(fileno=int(sys.argv[1]))
sock.sendall(b'{"what": "ready", "body": "here"}\\n')
"""


def supervisor(worker: str) -> subprocess.Popen[str]:
    """Start a supervisor of two workers that are small scripts."""
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, textwrap.dedent(worker)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_workers_that_die_as_they_start_are_given_up() -> None:
    """After five starts in a row the service ends, and says what happened."""
    process = supervisor("import os; os._exit(7)")
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "dies again and again" in said
    assert "exit code 7" in said


def test_the_reason_of_a_worker_is_the_reason_of_the_service() -> None:
    """What a worker says as it fails is told once, as if it had happened here."""
    process = supervisor(
        """
        import socket, sys
        sock = socket.socket(fileno=int(sys.argv[1]))
        sock.sendall(b'{"what": "failed", "body": {"kind": "PlanError", "message": "no plan"}}\\n')
        sys.exit(2)
        """
    )
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 2
    assert said.count("PlanError: no plan") == 1


def test_a_worker_that_dies_is_replaced() -> None:
    """The second process of a place is there after the first has gone; the end is in order."""
    process = supervisor(READY + "import os; os.write(1, b'began\\n'); sock.recv(100)")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    assert sorted(lines) == ["began\n", "began\n", "ready here\n"]
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    subprocess.run(["kill", "-9", children[0]], check=True)
    assert process.stdout.readline() == "began\n"
    process.send_signal(signal.SIGTERM)
    said, complaint = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert "ended with signal 9" in complaint


@pytest.mark.slow
def test_a_worker_that_will_not_stop_is_ended_when_told_twice() -> None:
    """The second signal waits for nobody."""
    process = supervisor(READY + "import time; time.sleep(600)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready here\n"
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=30) == 0
    process.communicate()
