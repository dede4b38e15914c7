"""What whoever starts a service may choose about its HTTP side."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from feasible.errors import BadInput
from feasible.serving.aside import Aside
from feasible.serving.gate import Gate
from feasible.serving.key_file import KEYS_FILE_VARIABLE, default_key_file
from feasible.serving.keys import (
    KEYS_VARIABLE,
    ApiKeys,
    keys_from_environment,
    keys_from_file,
)
from feasible.serving.logs import Log, take_over_logging
from feasible.serving.observer import Observer
from feasible.serving.pressure import MOST_IN_FLIGHT
from feasible.serving.traces import traces_from_environment

__all__ = ["FrontOptions", "LogLevel", "gate_of", "observer_of"]

LogLevel = Literal["debug", "info", "warning", "error"]


class FrontOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The choices; a worker process is told them as JSON.

    Attributes:
        keys_file: File of API keys; None for FEASIBLE_KEYS_FILE, else the file that `feasible keys`
            writes in this folder when it is there, else FEASIBLE_API_KEYS_SHA256.
        rate_per_s: Requests that each key may send each second; None for as many as it likes.
        max_in_flight: Requests answered at once; more are refused.
        log_level: The least that is logged.
        log_share: Share of the decisions that go well and are logged too. Ratio.
    """

    keys_file: str | None = None
    rate_per_s: float | None = None
    max_in_flight: int = MOST_IN_FLIGHT
    log_level: LogLevel = "info"
    log_share: float = 0.001


def observer_of(options: FrontOptions, feature: str) -> tuple[Observer, Callable[[], None]]:
    """Give what tells of decisions, and what to call when the process ends.

    From then on everything that this process logs is a line of JSON on standard error.

    Args:
        options: The choices.
        feature: Name of what is served.

    Raises:
        FeasibleError: The environment asks for traces that cannot be made.
    """
    aside = Aside()
    log = Log(aside, level=options.log_level)
    traces = traces_from_environment(feature, aside)
    take_over_logging(log)

    def close() -> None:
        aside.close()
        if traces is not None:
            traces.close()

    return Observer(log, log_share=options.log_share, traces=traces), close


def gate_of(options: FrontOptions, *, shared: Path | None = None) -> tuple[Gate, str]:
    """Give who may come in, and that in words.

    Args:
        options: The choices.
        shared: Beginning of the names of the files that worker processes share; None for one.

    Raises:
        BadInput: The keys cannot be read, or are declared in two places.
    """
    keys, told = _keys(None if options.keys_file is None else Path(options.keys_file))
    return Gate(keys, rate_per_s=options.rate_per_s, shared=shared), told


def _keys(file: Path | None) -> tuple[ApiKeys, str]:
    in_environment = keys_from_environment()
    named = file or (default_key_file() if KEYS_FILE_VARIABLE in os.environ else None)
    if named is None and not in_environment and default_key_file().exists():
        named = default_key_file()
    if named is None:
        if in_environment:
            return in_environment, f"keys: needed, {len(in_environment.all)} in {KEYS_VARIABLE}"
        return in_environment, "keys: none, so that whoever reaches this may ask"
    if in_environment:
        raise BadInput(
            "keys are declared in two places",
            found=f"{named} and {KEYS_VARIABLE}",
            attempt=f"unset {KEYS_VARIABLE}, and make its keys anew with `feasible keys new`",
        )
    found = keys_from_file(named)
    holding = sum(key.revoked_at is None for key in found.all)
    return found, f"keys: needed, {holding} in {named}"
