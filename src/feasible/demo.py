"""The whole loop on one screen, with real parts: training, HTTP, ledger and clocks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress as Bars

from feasible import loop
from feasible.errors import FeasibleError
from feasible.folder import Feature
from feasible.report import (
    brief_panel,
    certificate_table,
    comparison_table,
    headroom_table,
    infeasible_panel,
    plan_table,
)
from feasible.schema import Example, HeadroomRow, PlanReport
from feasible.units import format_ratio

__all__ = ["Load", "run_demo", "send_load"]

_CLIENTS: Final = 32
_LABELLED: Final = 600
"""Decisions that an auditor labels in the demo, drawn at random whatever was answered."""
_START_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What came back from a load test.

    Attributes:
        latencies_ms: Seen by the client, one per answered request.
        failed: Requests that got no answer, with their reasons.
        decisions: Decision id -> position in `rows` of the question that was asked.
        tiers: Tier -> answers.
        wall_s: Seconds from the first request to the last answer.
    """

    latencies_ms: tuple[float, ...]
    failed: tuple[str, ...]
    decisions: dict[str, int]
    tiers: dict[str, int]
    wall_s: float

    def percentile(self, q: float) -> float:
        """Give a latency percentile in milliseconds; q is a share, 0 to 1."""
        return float(np.quantile(self.latencies_ms, q))


def run_demo(feature: Feature, console: Console, *, n_requests: int) -> None:
    """Run brief, review, plan, load, labels and headroom, and print each as it happens."""
    name = feature.brief.name
    console.rule(f"[bold]1. what {name} promises, before any model is named")
    console.print(brief_panel(feature.brief))
    judged = loop.review(feature.found)
    high = sum(finding.risk == "HIGH" for finding in judged.findings)
    console.print(
        f"feasible review: {judged.score} of 100 by what a brief alone can show, "
        f"{len(judged.findings)} findings, {high} of them HIGH"
    )

    console.rule("[bold]2. the plan: every tier measured on labelled rows, then certified")
    report = _plan(feature, console)
    if report.plan is None:
        console.print(infeasible_panel(report))
        raise FeasibleError(
            f"no plan keeps the brief of {name} on this machine",
            attempt=f"read the reasons above, or run `feasible plan {name}`",
        )

    console.rule("[bold]3. real HTTP load on the served plan: bursts, repeated questions")
    rows = [row for row in feature.dataset().examples if row.split != "train"]
    with _served(feature, console) as url:
        console.print(
            f"{n_requests:,} questions from {_CLIENTS} clients, drawn from the {len(rows):,} test "
            f"rows of the corpus; popular questions repeat (Zipf)"
        )
        questions = _questions(feature, len(rows), n_requests)
        with _bar(console, "requests") as step:
            load = asyncio.run(send_load(url, rows, questions, clients=_CLIENTS, progress=step))
        _print_load(load, console)

        console.rule("[bold]4. labels come in, and each promise says how it stands")
        before = _headroom(url)
        stored = _send_labels(url, rows, load)
        console.print(
            f"{stored:,} decisions labelled by an audit drawn at random "
            f"(the truth comes from the corpus)"
        )
        after = _headroom(url)
    console.print(headroom_table(after))
    known = sum(row.holds is not None for row in after) - sum(
        row.holds is not None for row in before
    )
    console.print(f"{max(known, 0)} promises became sayable with these labels")

    console.rule("[bold]5. what to try next")
    for line in (
        f"feasible plan {name} --json           the same plan as data",
        f"feasible serve {name}                 then POST /v1/decide",
        f"feasible watch {name}                 the table above, from the ledger",
        "feasible new my-feature               a folder of your own, ready to run",
    ):
        console.print(f"  {line}", highlight=False)


def _plan(feature: Feature, console: Console) -> PlanReport:
    started = time.monotonic()
    with Bars(console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        report = loop.plan(feature, progress=progress)
    console.print(f"planned in {time.monotonic() - started:.0f} s")
    made = report.plan or report.fallback_plan
    if made is not None:
        data = made.data
        kind = "synthetic, written by this project" if data.synthetic else "collected"
        console.print(
            f"rows: {data.name} ({kind}): {data.n_fit:,} to fit, {data.n_search:,} to search, "
            f"{data.n_cert:,} to certify"
        )
        console.print(plan_table(report))
        console.print(certificate_table(report.certificate))
        console.print(comparison_table(report))
    for left in report.left_out:
        console.print(f"left out: {left.tier}: {left.because}", highlight=False)
    for note in report.notes:
        console.print(f"note: {note}", highlight=False)
    return report


@contextmanager
def _served(feature: Feature, console: Console) -> Iterator[str]:
    """Start a server in its own process, on a free port and a fresh ledger; drain it at the end."""
    ledger = feature.work / "demo-ledger.db"
    for stale in ledger.parent.glob(f"{ledger.name}*"):
        stale.unlink()
    command = [sys.executable, "-m", "feasible", "serve", feature.brief.name, "--port", "0"]
    command += ["--ledger", f"sqlite:///{ledger.resolve()}"]
    process = subprocess.Popen(  # noqa: S603  our own command line
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )
    try:
        url = _wait_for_url(process)
        console.print(f"serving on {url}, ledger {ledger}", highlight=False)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101  asked for above
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if "http://" in line:
            url = "http://" + line.split("http://", 1)[1].split()[0].rstrip(",;")
            break
    else:
        raise FeasibleError("the server did not start", found="".join(said).strip())
    give_up = time.monotonic() + _START_S
    while time.monotonic() < give_up:
        try:
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return url
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise FeasibleError("the server did not become ready", asked=f"within {_START_S:.0f} s")


def _questions(feature: Feature, n_rows: int, n_requests: int) -> list[int]:
    """Draw row positions: fresh rows in random order, popular ones repeated as the brief says."""
    rng = np.random.default_rng(0)
    repeated = feature.brief.traffic.repeated
    share = 0.4 if repeated is None else repeated.mid
    popular = rng.permutation(n_rows)[: max(1, n_rows // 10)]
    weights = 1.0 / np.arange(1, len(popular) + 1)
    again = rng.choice(popular, size=n_requests, p=weights / weights.sum())
    fresh = np.resize(rng.permutation(n_rows), n_requests)
    return [int(x) for x in np.where(rng.random(n_requests) < share, again, fresh)]


async def send_load(
    url: str,
    rows: Sequence[Example],
    questions: Sequence[int],
    *,
    clients: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> Load:
    """Send questions in bursts from a number of clients and time every answer.

    Bursts are drawn from a geometric distribution with mean 25, and each is followed by an
    exponential pause of 20 ms on average: the arrivals are uneven on purpose.

    Args:
        url: Server.
        rows: Rows to ask.
        questions: Positions in `rows`, in the order in which they are asked.
        clients: Requests in flight at most.
        progress: Told how many were answered.
    """
    rng = np.random.default_rng(1)
    gate = asyncio.Semaphore(clients)
    latencies: list[float] = []
    failed: list[str] = []
    decisions: dict[str, int] = {}
    tiers: dict[str, int] = {}
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)

    async def ask(client: httpx.AsyncClient, position: int) -> None:
        try:
            started = time.perf_counter()
            reply = await client.post("/v1/decide", json={"request": dict(rows[position].request)})
            latency = (time.perf_counter() - started) * 1e3
        except httpx.TransportError as error:
            failed.append(type(error).__name__)
            return
        finally:
            gate.release()
        if reply.status_code != httpx.codes.OK:
            failed.append(f"HTTP {reply.status_code}")
            return
        body = reply.json()
        latencies.append(latency)
        decisions[body["decision_id"]] = position
        tiers[body["tier"]] = tiers.get(body["tier"], 0) + 1
        progress(len(latencies))

    started = time.perf_counter()
    async with (
        httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        burst = 0
        for position in questions:
            if burst == 0:
                await asyncio.sleep(float(rng.exponential(0.02)))
                burst = int(rng.geometric(1 / 25))
            burst -= 1
            await gate.acquire()
            group.create_task(ask(client, position))
    return Load(
        latencies_ms=tuple(latencies),
        failed=tuple(failed),
        decisions=decisions,
        tiers=tiers,
        wall_s=time.perf_counter() - started,
    )


def _print_load(load: Load, console: Console) -> None:
    answered = len(load.latencies_ms)
    share = ", ".join(
        f"{tier} {format_ratio(count / answered)}"
        for tier, count in sorted(load.tiers.items(), key=lambda item: -item[1])
    )
    console.print(
        f"{answered:,} answered, {len(load.failed):,} failed, "
        f"{answered / load.wall_s:,.0f} a second; seen by the clients: "
        f"p50 {load.percentile(0.5):.1f} ms, p95 {load.percentile(0.95):.1f} ms, "
        f"p99 {load.percentile(0.99):.1f} ms"
    )
    console.print(f"answered by: {share}")


def _send_labels(url: str, rows: Sequence[Example], load: Load) -> int:
    """Label a random sample of the decisions with the corpus's truth, as an auditor would."""
    rng = np.random.default_rng(2)
    ids = sorted(load.decisions)
    chosen = rng.choice(len(ids), size=min(_LABELLED, len(ids)), replace=False)
    now = datetime.now(UTC).isoformat()
    labels = [
        {
            "decision_id": ids[int(i)],
            "value": rows[load.decisions[ids[int(i)]]].label,
            "source": "human",
            "selection": "audit",
            "known_at": now,
        }
        for i in chosen
    ]
    with httpx.Client(base_url=url, timeout=30) as client:
        for start in range(0, len(labels), 100):
            reply = client.post("/v1/labels", json={"labels": labels[start : start + 100]})
            reply.raise_for_status()
    return len(labels)


def _headroom(url: str) -> list[HeadroomRow]:
    reply = httpx.get(f"{url}/v1/headroom", timeout=30)
    reply.raise_for_status()
    return msgspec.convert(reply.json()["objectives"], list[HeadroomRow])


@contextmanager
def _bar(console: Console, stage: str) -> Iterator[Callable[[int], None]]:
    with Bars(console=console, transient=True) as bars:
        task = bars.add_task(stage, total=None)
        yield lambda done: bars.update(task, completed=done)
