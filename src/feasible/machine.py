"""What a service takes of this machine, measured once: the inputs that no profile knows.

A profile was measured tier by tier with nothing around it. Under a service each request is also
read, written, committed to the disk and answered, and a tier is called through a thread of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import numpy as np

from feasible.clock import SystemClock
from feasible.ledger import SqliteLedger, new_decision_id
from feasible.measuring import Measured, capacity_per_s, measure
from feasible.schema import Decision, FloatArray, IntArray, PathStep, Profile, TierKind
from feasible.simulation import (
    CACHED,
    NOBODY,
    Batching,
    Design,
    Outcome,
    Service,
    TierLoad,
    screen,
)

__all__ = ["Machine", "Requests", "calibrated", "commit_s", "outcome_of"]

_CALM_PER_S, _CALM_PART = 100.0, 0.3
"""A calm run: so many a second, and no more than this share of what slots can bear."""
_CLIENTS: Final = 8
_LARGEST_BATCH: Final = 32
"""Calls that a service answers together at most."""
_LARGEST_COMMIT: Final = 256
"""Decisions that a ledger commits together at most."""
_KNOWN: Final = 400
"""Different requests that are asked again."""
_COMMITS: Final = 150
_TOGETHER: Final = 16


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, each of it an input of the simulation."""

    front_ms: float
    """Work of the service on one decision, by how many a second it answers from memory."""
    commit_ms: float
    """A commit of one decision to the disk, median."""
    commit_each_ms: float
    """What each further decision in it adds."""
    overhead_ms: tuple[float, float, float]
    """What else answers take: reading, writing, waking up. Its 10th, 50th and 90th percentile."""
    tier_times: dict[str, float]
    """Tier -> how many times as long as in its profile a call takes under the service."""
    batching: dict[str, tuple[float, float]]
    """Tier -> milliseconds of a batch, and of each call in it, where it is the busiest."""
    cores: int
    load_average: float
    """Of the machine when the measuring began: processes that ran or wanted to, over a minute."""
    measured_at: str


class Requests:
    """Requests made of a profile's rows, as many of them asked again as the cache is to answer.

    Every row comes about equally often, or as often as its weight says, so that what is measured
    varies by the service's luck and not by which questions came.

    Args:
        design: Whose hit ratio is to be met.
        profile: Its rows; they have texts.
        rng: Where luck comes from.
    """

    def __init__(self, design: Design, profile: Profile, rng: np.random.Generator) -> None:
        assert profile.text is not None  # noqa: S101  checked where the profile is read
        self._texts, self._rng = profile.text, rng
        self._hit = 0.0 if design.cache is None or design.cache.hit is None else design.cache.hit
        weight = design.cases.weight
        rows = np.ones(len(profile)) if weight is None else weight
        self._sums = np.cumsum(rows) / rows.sum()
        self._salt = int(rng.integers(2**31))
        self._made = 0
        self.known = [self._new(int(row)) for row in self._rows(_KNOWN)]

    def make(self, n: int) -> tuple[list[dict[str, Any]], IntArray]:
        """Give n requests, and the row that each of them is, shape (n,)."""
        again = np.zeros(n, dtype=np.bool_)
        again[self._rng.permutation(n)[: round(self._hit * n)]] = True
        fresh, turns = iter(self._rows(int((~again).sum()))), iter(self._turns(int(again.sum())))
        out = [
            self.known[int(next(turns))] if repeats else self._new(int(next(fresh)))
            for repeats in again
        ]
        return [request for _, request in out], np.array([row for row, _ in out])

    def _new(self, row: int) -> tuple[int, dict[str, Any]]:
        self._made += 1  # `case` makes it another request: no cache has seen it
        return row, {"text": self._texts[row], "case": f"{self._salt}-{self._made}"}

    def _rows(self, n: int) -> IntArray:
        luck = (np.arange(n) + self._rng.random()) / max(n, 1)
        return self._rng.permutation(np.searchsorted(self._sums[:-1], luck, side="right"))

    def _turns(self, n: int) -> IntArray:
        laps = [self._rng.permutation(_KNOWN) for _ in range(n // _KNOWN + 1)]
        return np.concatenate(laps)[:n]


def calibrated(
    design: Design, url: str, requests: Requests, work: Path, *, seconds: float
) -> tuple[Design, Machine]:
    """Add to a design what the service and this machine take.

    What is to be asked again is asked first. Then one request again and again, answered by the
    cache, shows the service's own work, and a calm run the rest. Where a machine tier is the
    busiest, eight different requests at a time show how fast it is in batches.

    Args:
        design: What the profile knows.
        url: The service.
        requests: What to ask.
        work: Folder on the disk that the service's ledger is on.
        seconds: Length of each of these runs.
    """
    load, now = os.getloadavg()[0], datetime.now(UTC)
    commit, each = commit_s(work)
    known = [request for _, request in requests.known]
    busiest = max((load.utilisation for load in screen(design).loads), default=0.0)
    bears = design.arrivals.rate_per_s / busiest if busiest else _CALM_PER_S / _CALM_PART
    calm_per_s = min(_CALM_PER_S, _CALM_PART * bears)
    _paced(url, known, calm_per_s)
    warmed = _paced(url, known, calm_per_s)  # what had failed is remembered as well
    at_once = next((a.position for a in warmed.answers if not a.is_degraded), 0)
    own_per_s = capacity_per_s(url, [known[at_once]], seconds=seconds / 2, clients=_CLIENTS)
    design = replace(
        design,
        front=TierLoad("service", 1, Service("fixed", 1 / own_per_s)),
        commit=Batching(_LARGEST_COMMIT, 0.0, commit, each),
    )
    asked, rows = requests.make(max(round(calm_per_s * seconds), 50))
    calm = _paced(url, asked, calm_per_s)
    times = _tier_times(design, calm, rows)
    tiers = tuple(
        replace(load, service=replace(load.service, factor=times[load.name]))
        if load.name in times
        else load
        for load in design.tiers
    )
    rest = np.array([answer.own_ms for answer in calm.answers]) - (1 / own_per_s + commit) * 1e3
    rest = np.maximum(rest, 0.0)
    design = replace(design, tiers=tiers, overhead_ms=tuple(rest.tolist()))
    design, batching = _batched(design, url, requests, seconds)
    return design, Machine(
        front_ms=1e3 / own_per_s,
        commit_ms=commit * 1e3,
        commit_each_ms=each * 1e3,
        overhead_ms=tuple(np.quantile(rest, [0.1, 0.5, 0.9]).tolist()),
        tier_times=times,
        batching=batching,
        cores=os.cpu_count() or 1,
        load_average=load,
        measured_at=now.isoformat(timespec="seconds"),
    )


def commit_s(folder: Path) -> tuple[float, float]:
    """Give the seconds of a commit of one decision, median, and what each further one adds.

    Args:
        folder: On the disk that is to be measured; a ledger is made there and removed again.
    """
    with TemporaryDirectory(dir=folder, prefix=".commit-") as place:
        ledger = SqliteLedger(Path(place) / "ledger.db")
        try:
            return asyncio.run(_commits(ledger))
        finally:
            ledger.close()


async def _commits(ledger: SqliteLedger) -> tuple[float, float]:
    alone, together = list[float](), list[float]()
    for _ in range(_COMMITS):
        began = time.perf_counter()
        await ledger.append(_decision())
        alone.append(time.perf_counter() - began)
    for _ in range(_COMMITS // _TOGETHER):
        began = time.perf_counter()
        await asyncio.gather(*(ledger.append(_decision()) for _ in range(_TOGETHER)))
        together.append(time.perf_counter() - began)
    one, many = float(np.median(alone)), float(np.median(together))
    return one, max(many - one, 0.0) / (_TOGETHER - 1)


def _decision() -> Decision:
    return Decision(
        decision_id=new_decision_id(SystemClock()),
        at=datetime.now(UTC),
        plan="plan_0123456789abcdef",
        answer="an answer",
        probability=0.97,
        tier="model",
        path=(PathStep(tier="model", outcome="answered", latency_ms=1.2, cost_usd=0.0),),
        cost_nusd=0,
        latency_ms=1.4,
        request={"text": "a question that is about as long as such questions are"},
    )


def _paced(url: str, asked: list[dict[str, Any]], per_s: float) -> Measured:
    at_s = (np.arange(len(asked)) + 1.0) / per_s
    return measure(url, asked, at_s.tolist())


def _tier_times(design: Design, calm: Measured, rows: IntArray) -> dict[str, float]:
    """Say how many times as long as on its own a machine tier takes under the service."""
    out, column = {}, design.cases.table.latency_ms
    for k, step in enumerate(design.policy.steps):
        if step.kind not in {TierKind.RULES, TierKind.MODEL}:
            continue
        seen = [
            (s["latency_ms"], column[int(rows[a.position]), k])
            for a in calm.answers
            for s in a.path
            if s["tier"] == step.name and s["outcome"] not in {"skipped", "failed", "timed_out"}
        ]
        if seen:
            served, alone = np.median(np.array(seen), axis=0)
            out[step.name] = float(served / alone)
    return out


def _batched(
    design: Design, url: str, requests: Requests, seconds: float
) -> tuple[Design, dict[str, tuple[float, float]]]:
    """Let the busiest machine tier answer in batches on one thread, as a service lets it."""
    loads = [load for load in screen(design).loads if load.utilisation > 0]
    if not loads:
        return design, {}
    busiest = max(loads, key=lambda load: load.utilisation)
    k = next(k for k, load in enumerate(design.tiers) if load.name == busiest.name)
    if design.policy.steps[k].kind not in {TierKind.RULES, TierKind.MODEL}:
        return design, {}
    asked, _ = requests.make(4000)
    most_per_s = capacity_per_s(url, asked, seconds=seconds / 2, clients=_CLIENTS)
    full_s = _CLIENTS / (most_per_s * busiest.reach)  # nearly all that are under way are in it
    each_s = max((full_s - busiest.service_s) / (_CLIENTS - 1), 0.0)
    base_s = max(busiest.service_s - each_s, 0.0)
    load = replace(design.tiers[k], slots=1, batching=Batching(_LARGEST_BATCH, 0.0, base_s, each_s))
    tiers = (*design.tiers[:k], load, *design.tiers[k + 1 :])
    return replace(design, tiers=tiers), {busiest.name: (base_s * 1e3, each_s * 1e3)}


def outcome_of(design: Design, seen: Measured, rows: IntArray, at_s: FloatArray) -> Outcome:
    """Give what was measured in the form of a run, so that both are judged alike.

    Args:
        design: Says which tiers there are, and what their calls cost.
        seen: What came back; refused requests are left out.
        rows: shape (n,). Which row each request was.
        at_s: shape (n,). When each was due. Seconds.
    """
    answers = sorted(seen.answers, key=lambda answer: answer.position)
    which = np.array([answer.position for answer in answers], dtype=np.int64)
    number = {load.name: k for k, load in enumerate(design.tiers)}
    prices = {load.name: load.usd or 0.0 for load in design.tiers}
    by = np.array([number.get(a.tier, NOBODY) for a in answers], dtype=np.int64)
    is_hit = np.array([_is_cached(design, a.tier) for a in answers], dtype=np.bool_)
    people = [k for k, s in enumerate(design.policy.steps) if s.kind is TierKind.PERSON]
    came = at_s[which]
    return Outcome(
        at_s=came,
        row=rows[which],
        exit=np.where(is_hit, CACHED, by),
        answered_by=by,
        latency_ms=np.array([answer.latency_ms for answer in answers]),
        cost_usd=np.array([answer.cost_usd(prices) for answer in answers]),
        degraded=np.array([answer.is_degraded for answer in answers], dtype=np.bool_),
        over_quota=np.zeros(len(answers), dtype=np.bool_),
        handed=np.isin(by, people),
        tiers=(),
        span_s=float(came[-1] - came[0]) if len(came) > 1 else 0.0,
        engine="measured",
    )


def _is_cached(design: Design, tier: str) -> bool:
    return tier not in {load.name for load in design.tiers} and tier != "nobody"
