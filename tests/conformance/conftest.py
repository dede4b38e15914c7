"""A live server: `feasible serve` in a process of its own, on a feature that can misbehave."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from feasible.testing import Service, running_service

BRIEF = """\
feasible: 1
name: odd
goal: {statement: Answer what can be answered and hand over the rest}
envelope:
  - {latency: p99, at_most: 500 ms}
  - {quality: accuracy, at_least: 0.80, confidence_level: 0.95}
  - {people: reviews, at_most: 40 %}
traffic: {slices: {urgent: 10 %}}
layers:
  tiers:
    - {name: cache, kind: cache, ttl: 1 h}
    - {name: odd, kind: rules, use: "tiers:Odd", usd: $0.001}
    - {name: person, kind: person, usd: $1, error_rate: 2 %}
  serving: {deadline: 500 ms, fallback: {default: person, urgent: person}}
"""
DATA = """\
def examples():
    for i in range(600):
        known = i % 5 > 0
        yield {
            "id": i,
            "text": f"{'colour' if known else 'shape'} {i}",
            "label": "red" if known else "round",
            "slices": ["urgent"] if i % 20 in (2, 3) else [],
            "split": "train" if i % 2 else "test",
        }
"""
TIERS = '''\
import time

from feasible.schema import Answer


class Odd:
    """Knows colours; does what it should not when it is asked to."""

    def answer(self, batch):
        texts = [request["text"] for request in batch]
        for text in texts:
            if text.startswith("sleep"):
                time.sleep(30)
            if text.startswith("spin"):
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    pass
            if text.startswith("raise"):
                raise RuntimeError("out of paint")
            if text.startswith("shorten"):
                return []
        return [Answer(self._one(text)) for text in texts]

    def _one(self, text):
        if text.startswith("invent"):
            return "purple?"
        return "red" if text.startswith("colour") else None
'''


def feasible(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "feasible", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@dataclass
class Server:
    """A service that runs on a ledger.

    Attributes:
        url: Where it listens.
        ledger: Where its decisions go.
        service: The service.
    """

    url: str
    ledger: str
    service: Service

    @property
    def process(self) -> subprocess.Popen[str]:
        """Give its process."""
        return self.service.process

    def stop(self) -> int:
        """Tell it to stop and give its exit code."""
        return self.service.stop()


Start = Callable[..., Server]


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give the function that runs the command line."""
    return feasible


@pytest.fixture(scope="session")
def colours() -> str:
    """Give the rows of the small feature, for features of a test's own."""
    return DATA


@pytest.fixture(scope="session")
def odd_feature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the small feature and plan it."""
    folder = tmp_path_factory.mktemp("features") / "odd"
    folder.mkdir()
    (folder / "brief.yaml").write_text(BRIEF, encoding="utf-8")
    (folder / "data.py").write_text(DATA, encoding="utf-8")
    (folder / "tiers.py").write_text(TIERS, encoding="utf-8")
    planned = feasible("plan", str(folder), "--quiet")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return folder


@pytest.fixture(scope="session")
def server(odd_feature: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for every test that leaves it as it was."""
    ledger = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'decisions.db'}"
    with running_service(str(odd_feature), ledger=ledger) as service:
        yield Server(service.url, ledger, service)


@pytest.fixture
def start(odd_feature: Path, tmp_path: Path) -> Iterator[Start]:
    """Give the function that starts a server of the test's own."""
    with ExitStack() as running:

        def starting(
            *,
            ledger: str | None = None,
            workers: int = 1,
            environment: dict[str, str] | None = None,
            options: Sequence[str] = (),
        ) -> Server:
            url = ledger or f"sqlite:///{tmp_path / 'decisions.db'}"
            service = running.enter_context(
                running_service(
                    str(odd_feature),
                    ledger=url,
                    workers=workers,
                    environment=environment,
                    options=options,
                )
            )
            return Server(service.url, url, service)

        yield starting
