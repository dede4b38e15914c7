"""A feature as a running service, in one process or in several that share socket and ledger."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec

from feasible import feedback  # its door: files are loaded when somebody asks for the headroom
from feasible.clock import Clock, SystemClock
from feasible.errors import FeasibleError
from feasible.folder import Feature, open_folder
from feasible.ledger import Ledger, ServiceLock, ledger_path, open_ledger
from feasible.live_plans import begin, plan_event, shadow_event, shadow_spent_nusd
from feasible.planned import certified_tiers, kept_plan, planned_tiers
from feasible.schema import Brief, Decision, Label, LivePlans, Plan, PlanShare
from feasible.serving import (
    Alone,
    Control,
    FrontOptions,
    LiveRuntime,
    PlanDesk,
    Runtime,
    Service,
    Several,
    Shadow,
    Supervisor,
    answer_letters,
    build_app,
    gate_of,
    letters_folder,
    listen,
    observer_of,
    run,
    send_failure,
    with_money,
    worker_handlers,
)
from feasible.state import SqliteState, State
from feasible.units import format_ratio

__all__ = ["begin_state", "serve", "state_path", "tracker_of", "work"]

_FIGURES_S: Final = 2.0
_ORDER_S: Final = 120.0


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process is told on its command line."""

    folder: str
    work: str
    ledger: str
    live: LivePlans
    """What answers when it starts."""
    number: int
    """Its place among the workers, from 0."""
    workers: int
    sock: int
    """Descriptor of the listening socket."""
    control: int
    """Descriptor of the worker's end of its channel."""
    lock: int
    """Descriptor of the lock that gives the right to write the ledger."""
    front: FrontOptions


def serve(
    feature: Feature,
    *,
    ledger_url: str | None,
    host: str,
    port: int,
    workers: int = 1,
    say: Callable[[str], None],
    front: FrontOptions | None = None,
) -> None:
    """Serve a feature's plan over HTTP until told to stop; everything accepted is answered first.

    Args:
        feature: The feature; it must have a plan.
        ledger_url: Where decisions go; the feature's own ledger when absent.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        workers: Processes that answer; with more than one, another process looks after them.
        say: Told the address once requests are answered.
        front: Keys, rates and limits; nobody needs a key when absent and none is declared.

    Raises:
        BadInput: The keys cannot be read, or the address cannot be taken.
        PlanError: There is no plan, it was made for another brief, or a tier has changed since.
        ModelFileError: A stored model is not the file that the plan names.
        LedgerError: The ledger cannot be written, or another service writes it.
        FeasibleError: A worker dies again and again as it starts.
    """
    url = ledger_url or feature.ledger_url
    options = front or FrontOptions()
    if workers == 1:
        _serve_alone(feature, ledger_url=url, host=host, port=port, say=say, front=options)
    else:
        _serve_by_workers(
            feature, ledger_url=url, host=host, port=port, workers=workers, say=say, front=options
        )


def _serve_alone(
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
        FeasibleError: As `serve`.
    """
    with ExitStack() as opened:
        ledger = open_ledger(ledger_url)
        opened.callback(ledger.close)
        state = begin_state(ledger_url)
        opened.callback(state.close)
        live, hint = begin(feature, ledger)
        runtime = _live_runtime(feature, ledger, live, state)
        opened.callback(runtime.close)
        app, told = _app(feature, ledger, runtime, front, opened, shared=None)
        sock = listen(host, port)
        opened.callback(sock.close)
        desk = PlanDesk(live, Alone(runtime, ledger, plan_event))
        app.plans.order = desk.handle
        folder = letters_folder(ledger_path(ledger_url).resolve())
        run(
            app,
            sock,
            on_ready=lambda address: _say_ready(
                say, feature, address, ledger_url, live, (told, hint)
            ),
            beside=lambda: answer_letters(folder, desk.handle),
        )


def _serve_by_workers(
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
        FeasibleError: As `serve`, or a worker dies again and again as it starts.
    """
    with ExitStack() as opened:
        path = ledger_path(ledger_url).resolve()
        lock = ServiceLock(path)
        opened.callback(lock.release)
        begin_state(ledger_url).close()
        live, hint = _begun(feature, ledger_url, lock.fileno())
        sock = listen(host, port)
        opened.callback(sock.close)

        def command(number: int, listening: int, control: int) -> list[str]:
            job = _Job(
                folder=str(feature.folder.absolute()),
                work=str(feature.work.absolute()),
                ledger=ledger_url,
                live=live if several is None else several.desk.live,
                number=number,
                workers=workers,
                sock=listening,
                control=control,
                lock=lock.fileno(),
                front=front,
            )
            code = "from feasible.service import work; work()"
            return [sys.executable, "-c", code, msgspec.json.encode(job).decode()]

        several: Several | None = None
        supervisor = Supervisor(
            command,
            workers=workers,
            sock=sock,
            keep=[lock.fileno()],
            on_ready=lambda address, told: _say_ready(
                say, feature, address, ledger_url, live, (told["told"], f"workers: {workers}", hint)
            ),
        )
        several = Several(supervisor.workers, live)
        handle = several.desk.handle
        supervisor.run(
            admit=several.admit,
            handle=several.handle,
            beside=[lambda: answer_letters(letters_folder(path), handle), several.keep_figures],
        )


def work() -> None:
    """Be one worker of a service, as the command line says."""
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
        state = SqliteState(state_path(job.ledger))
        opened.callback(state.close)
        shared = ledger_path(job.ledger).resolve()
        runtime = _live_runtime(
            feature,
            ledger,
            job.live,
            state,
            part=job.number,
            parts=job.workers,
            shared=shared,
        )
        opened.callback(runtime.close)
        app, told = _app(feature, ledger, runtime, job.front, opened, shared=shared)
        control.ready = {"told": told, "live": msgspec.to_builtins(job.live)}
        control.handlers |= worker_handlers(Alone(runtime, ledger, plan_event), app.figures)

        async def all_figures(own: bytes) -> bytes:
            try:
                page = await control.channel.ask("figures", own.decode(), within_s=_FIGURES_S)
            except FeasibleError:  # the service is stopping
                return own
            return str(page).encode()

        app.all_figures = all_figures
        app.plans.order = lambda body: control.channel.ask("order", body, within_s=_ORDER_S)
        run(app, socket.socket(fileno=job.sock), control=control)


def _begun(feature: Feature, ledger_url: str, lock: int) -> tuple[LivePlans, str | None]:
    """Settle what answers before any worker is there."""
    ledger = open_ledger(ledger_url, lock=lock)
    try:
        return begin(feature, ledger)
    finally:
        ledger.close()


def state_path(ledger_url: str) -> Path:
    """Give the file of what the workers of a service share, beside its ledger."""
    path = ledger_path(ledger_url).resolve()
    return path.with_name(f"{path.name}.state")


def begin_state(ledger_url: str) -> SqliteState:
    """Open what workers share as a service starts: the ledger says what was spent before.

    Only for whoever holds the ledger's lock, before any worker is there. Reservations of a service
    that was killed stay until their lease is over.

    Raises:
        StateError: It cannot be written.
    """
    state = SqliteState(state_path(ledger_url), anew=True)
    state.begin()
    return state


def _say_ready(
    say: Callable[[str], None],
    feature: Feature,
    address: str,
    url: str,
    live: LivePlans,
    more: Sequence[str | None],
) -> None:
    say(f"serving {feature.brief.name} on {address} (plan {live.stable}, ledger {url})")
    for line in (_company(live), _not_promised(feature, live), *more):
        if line is not None:
            say(line)


def _not_promised(feature: Feature, live: LivePlans) -> str | None:
    """Say what the stable plan does not promise, for want of evidence."""
    missing = kept_plan(feature, live.stable).not_promised
    return f"not promised yet, for want of evidence: {', '.join(missing)}" if missing else None


def _company(live: LivePlans) -> str | None:
    """Say which plans answer or are asked beside the stable one."""
    beside = [
        f"{name} {one.plan} for {format_ratio(one.share)}"
        for name, one in (("canary", live.canary), ("shadow", live.shadow))
        if one is not None
    ]
    return ", ".join(beside) or None


def _live_runtime(
    feature: Feature,
    ledger: Ledger,
    live: LivePlans,
    state: State,
    *,
    part: int = 0,
    parts: int = 1,
    shared: Path | None = None,
) -> LiveRuntime:
    """Load every plan that answers or is asked."""
    slices = (*feature.brief.traffic.slices, *_promised_slices(feature.brief))
    under_way: dict[str, Any] = {}
    starting = True

    def make(plan_id: str) -> Runtime:
        made = kept_plan(feature, plan_id)
        # A plan that was live goes on as long as it fits; one that comes anew must stand.
        tiers = planned_tiers(feature, made) if starting else certified_tiers(feature, made)
        runtime = Runtime(
            made,
            tiers,
            ledger,
            specs=feature.brief.layers.tiers,
            slices=slices,
            state=state,
            several=parts > 1,
            under_way=under_way,
            arrivals_per_s=_peak_per_s(feature.brief),
            workers=parts,
            breakers=None if shared is None else shared.with_name(f"{shared.name}.breakers"),
        )
        runtime.warm_up()
        return runtime

    def shadow(runtime: Runtime, wanted: PlanShare) -> Shadow:
        return Shadow(
            runtime,
            wanted,
            record=lambda body: ledger.record(shadow_event(body | {"part": part})),
            spent=lambda: shadow_spent_nusd(ledger, part),
            parts=parts,
        )

    found = LiveRuntime(live, make=make, shadow=shadow)
    starting = False
    return found


def _app(
    feature: Feature,
    ledger: Ledger,
    runtime: LiveRuntime,
    front: FrontOptions,
    opened: ExitStack,
    *,
    shared: Path | None,
) -> tuple[Service, str]:
    """Build the application of a feature, and say who may call it."""
    following = feedback.Following(
        ledger,
        plan=lambda: runtime.plan,
        tracker=lambda made: _empty_tracker(feature, made, ledger),
    )
    gate, told = gate_of(front, shared=shared)
    observer, close = observer_of(front, feature.brief.name)
    opened.callback(close)
    app = build_app(
        runtime,
        headroom=lambda: with_money(following.rows(), runtime.standing()),
        gate=gate,
        max_in_flight=front.max_in_flight,
        observer=observer,
    )
    return app, told


def _empty_tracker(
    feature: Feature, made: Plan, ledger: Ledger, clock: Clock | None = None
) -> feedback.HeadroomTracker:
    return feedback.HeadroomTracker(
        feature.brief,
        made,
        slices_of=feature.slices_of(),
        clock=clock or SystemClock(),
        loss=feature.loss(),
        find=ledger.decision,
    )


def tracker_of(
    feature: Feature,
    made: Plan,
    ledger: Ledger,
    *,
    decisions: Iterable[Decision],
    labels: Iterable[Label],
    clock: Clock,
) -> feedback.HeadroomTracker:
    """Tell a new tracker of decisions and labels of a ledger, as known by a clock."""
    tracker = _empty_tracker(feature, made, ledger, clock)
    for decision in decisions:
        tracker.add_decision(decision)
    for label in labels:
        tracker.add_label(label)
    return tracker


def _peak_per_s(brief: Brief) -> float | None:
    """Give the arrivals at the peak that a brief declares, the most where it gives a range."""
    rate, peak = brief.traffic.rate, brief.traffic.peak
    return None if rate is None else rate.high * (1.0 if peak is None else peak.high)


def _promised_slices(brief: Brief) -> set[str]:
    return {objective.on for objective in brief.envelope if objective.on is not None}
