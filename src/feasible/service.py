"""A feature as a running service, in one process or in several that share socket and ledger."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from feasible.clock import SystemClock
from feasible.errors import FeasibleError, PlanError
from feasible.feedback import HeadroomTracker
from feasible.folder import Feature, open_folder
from feasible.ledger import Ledger, ServiceLock, ledger_path, open_ledger
from feasible.planning import expired_versions
from feasible.registry import verify
from feasible.schema import Brief, Plan, brief_fingerprint, read_plan
from feasible.serving import (
    Control,
    FrontOptions,
    Runtime,
    Service,
    Supervisor,
    build_app,
    gate_of,
    listen,
    run,
    send_failure,
)
from feasible.tiers import FittableTier, Tier

__all__ = [
    "planned_tiers",
    "serve_alone",
    "serve_by_workers",
    "tiers_now",
    "tracker_of",
    "versions_now",
    "work",
]


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process is told on its command line."""

    folder: str
    work: str
    ledger: str
    sock: int
    """Descriptor of the listening socket."""
    control: int
    """Descriptor of the worker's end of its channel."""
    lock: int
    """Descriptor of the lock that gives the right to write the ledger."""
    front: FrontOptions


def serve_alone(
    feature: Feature,
    *,
    ledger_url: str,
    host: str,
    port: int,
    say: Callable[[str], None],
    front: FrontOptions,
) -> None:
    """Serve a feature in this process until told to stop.

    Raises:
        FeasibleError: As `loop.serve`.
    """
    with ExitStack() as opened:
        ledger = open_ledger(ledger_url)
        opened.callback(ledger.close)
        app, told = _app(feature, ledger, front, shared=None)
        opened.callback(app.runtime.close)
        sock = listen(host, port)
        opened.callback(sock.close)
        run(app, sock, on_ready=lambda address: _say_ready(say, feature, address, ledger_url, told))


def serve_by_workers(
    feature: Feature,
    *,
    ledger_url: str,
    host: str,
    port: int,
    workers: int,
    say: Callable[[str], None],
    front: FrontOptions,
) -> None:
    """Serve a feature in several processes until told to stop; this one answers nothing itself.

    Raises:
        FeasibleError: As `loop.serve`, or a worker dies again and again as it starts.
    """
    with ExitStack() as opened:
        lock = ServiceLock(ledger_path(ledger_url).resolve())
        opened.callback(lock.release)
        sock = listen(host, port)
        opened.callback(sock.close)

        def command(listening: int, control: int) -> list[str]:
            job = _Job(
                folder=str(feature.folder.absolute()),
                work=str(feature.work.absolute()),
                ledger=ledger_url,
                sock=listening,
                control=control,
                lock=lock.fileno(),
                front=front,
            )
            code = "from feasible.service import work; work()"
            return [sys.executable, "-c", code, msgspec.json.encode(job).decode()]

        Supervisor(
            command,
            workers=workers,
            sock=sock,
            keep=[lock.fileno()],
            on_ready=lambda address, told: _say_ready(
                say, feature, address, ledger_url, (*told, f"workers: {workers}")
            ),
        ).run()


def work() -> None:
    """Be one worker of `serve_by_workers`, as the command line says."""
    job = msgspec.json.decode(sys.argv[1], type=_Job)
    control = Control(socket.socket(fileno=job.control))
    try:
        _work(job, control)
    except FeasibleError as error:
        send_failure(control.sock, error)
        sys.exit(error.exit_code)


def _work(job: _Job, control: Control) -> None:
    with ExitStack() as opened:
        feature = open_folder(Path(job.folder), work=Path(job.work))
        ledger = open_ledger(job.ledger, lock=job.lock)
        opened.callback(ledger.close)
        shared = ledger_path(job.ledger).resolve()
        app, control.ready = _app(feature, ledger, job.front, shared=shared)
        opened.callback(app.runtime.close)
        run(app, socket.socket(fileno=job.sock), control=control)


def _say_ready(
    say: Callable[[str], None], feature: Feature, address: str, url: str, told: tuple[str, ...]
) -> None:
    plan, *more = told
    say(f"serving {feature.brief.name} on {address} (plan {plan}, ledger {url})")
    for line in more:
        say(line)


def _app(
    feature: Feature, ledger: Ledger, front: FrontOptions, *, shared: Path | None
) -> tuple[Service, tuple[str, ...]]:
    """Build the application of a feature, and what there is to say once it listens."""
    made = read_plan(feature.plan_path)
    tiers = planned_tiers(feature, made)
    tracker = tracker_of(feature, made, ledger)
    slices = (*feature.brief.traffic.slices, *_promised_slices(feature.brief))
    runtime = Runtime(
        made,
        tiers,
        ledger,
        specs=feature.brief.layers.tiers,
        slices=slices,
        on_decision=tracker.add_decision,
    )
    runtime.warm_up()
    gate, told = gate_of(front, shared=shared)
    app = build_app(
        runtime,
        headroom=tracker.rows,
        on_label=tracker.add_label,
        gate=gate,
        max_in_flight=front.max_in_flight,
    )
    return app, (made.id, told)


def planned_tiers(feature: Feature, made: Plan) -> dict[str, Tier]:
    """Build the tiers of a plan as they were when it was made, their models loaded."""
    again = f"feasible plan {feature.brief.name}"
    if made.brief_fingerprint != brief_fingerprint(feature.brief):
        raise PlanError(
            f"the plan of {feature.brief.name} was made for another brief",
            asked=f"brief {brief_fingerprint(feature.brief)}",
            found=f"plan {made.id} for brief {made.brief_fingerprint}",
            attempt=again,
        )
    tiers = tiers_now(feature, made)
    for changed in expired_versions(made, versions_now(tiers, made)):
        raise PlanError(
            f"tier {changed.name!r} has changed since the plan was made: its certificate expired",
            asked=f"version {changed.was}",
            found=f"version {changed.now}",
            attempt=again,
        )
    planned = {step.name for step in made.tiers}
    for name in set(made.fallback.values()) - planned:
        if isinstance(tiers[name], FittableTier):
            raise PlanError(
                f"the fallback {name!r} learns from rows, and the plan holds no model of it",
                attempt="declare rules or a person as the fallback, then plan again",
            )
    return tiers


def tiers_now(feature: Feature, made: Plan) -> dict[str, Tier]:
    """Build the tiers of the brief, with the models that a plan stored loaded."""
    tiers = feature.tiers(made.labels)
    for step in made.tiers:
        tier = tiers.get(step.name)
        if step.model is not None and isinstance(tier, FittableTier):
            tier.load(verify(step.model, feature.work))
    return tiers


def versions_now(tiers: dict[str, Tier], made: Plan) -> dict[str, str]:
    """Give the versions that the tiers of a plan have now."""
    return {step.name: tiers[step.name].version for step in made.tiers if step.name in tiers}


def tracker_of(feature: Feature, made: Plan, ledger: Ledger) -> HeadroomTracker:
    """Tell a new tracker everything that the ledger holds."""
    tracker = HeadroomTracker(
        feature.brief,
        made,
        slices_of=feature.slices_of(),
        clock=SystemClock(),
        loss=feature.loss(),
        find=ledger.decision,
    )
    for decision in ledger.decisions():
        tracker.add_decision(decision)
    for label in ledger.labels():
        tracker.add_label(label)
    return tracker


def _promised_slices(brief: Brief) -> set[str]:
    return {objective.on for objective in brief.envelope if objective.on is not None}
