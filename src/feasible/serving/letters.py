"""Orders to a running service from another process of the same user, as files beside its ledger."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from feasible.errors import FeasibleError
from feasible.serving.channel import error_told, told_error

__all__ = ["answer_letters", "letters_folder", "send_letter"]

_EVERY_S: Final = 0.2
_AFTER_FAULT_S: Final = 1.0
_STALE_S: Final = 300.0
"""Whoever sent an order that is older waits no more, and died before taking it back."""
_LONGEST: Final = 64 * 1024
_ASKED: Final = ".ask.json"
_ANSWERED: Final = ".answer.json"
_LOG: Final = logging.getLogger(__name__)


def letters_folder(ledger: Path) -> Path:
    """Give where a service looks for orders: beside the ledger that it writes."""
    return ledger.with_name(f"{ledger.name}.orders")


async def answer_letters(folder: Path, handle: Callable[[Any], Awaitable[Any]]) -> None:
    """Look for orders again and again, carry them out, and answer.

    Whoever may write files beside the ledger may order: it is the same user, or one who could write
    the ledger as well. A disk that is full, or a folder that was removed, ends one round and not
    the looking.
    """
    is_ready = False
    while True:
        try:
            if not is_ready:
                _make_ready(folder)
                is_ready = True
            for name in sorted(os.listdir(folder)):  # noqa: PTH208  five times a second
                if name.endswith(_ASKED) and not name.startswith("."):  # one that is being written
                    await _answer(folder / name, handle)
        except OSError:
            is_ready = False
            _LOG.exception("orders in %s cannot be read or answered", folder)
            await asyncio.sleep(_AFTER_FAULT_S)
        await asyncio.sleep(_EVERY_S)


def _make_ready(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for letter in folder.iterdir():
        with suppress(FileNotFoundError):  # whoever sent it takes it back
            if time.time() - letter.stat().st_mtime > _STALE_S:
                letter.unlink()


def _opened(letter: Path) -> Any:
    """Take a letter away and give what it says; None when that cannot be read."""
    try:
        with letter.open("rb") as file:
            return msgspec.json.decode(file.read(_LONGEST))
    except (OSError, msgspec.MsgspecError):
        return None
    finally:
        letter.unlink(missing_ok=True)


async def _answer(letter: Path, handle: Callable[[Any], Awaitable[Any]]) -> None:
    asked = _opened(letter)
    if asked is None:
        return
    try:
        said = {"body": await handle(asked)}
    except FeasibleError as error:
        said = {"error": error_told(error)}
    except msgspec.ValidationError as error:
        said = {"error": error_told(FeasibleError("the order cannot be read", found=str(error)))}
    except Exception as error:  # noqa: BLE001  a tier of the plan may raise anything as it loads
        _LOG.exception("an order could not be carried out")
        said = {"error": error_told(FeasibleError("the order failed", found=repr(error)))}
    _write(letter.with_name(letter.name.replace(_ASKED, _ANSWERED)), said)


def send_letter(folder: Path, order: Any, *, within_s: float) -> Any:
    """Order something of a running service and give its answer.

    Raises:
        FeasibleError: It refused, or did not answer in time.
    """
    name = uuid.uuid4().hex
    asked, answered = folder / f"{name}{_ASKED}", folder / f"{name}{_ANSWERED}"
    until_s = time.monotonic() + within_s
    try:
        _write(asked, order)
        while not answered.exists():
            if time.monotonic() > until_s:
                raise _silence(folder, within_s)
            time.sleep(0.02)
        said = msgspec.json.decode(answered.read_bytes())
    except OSError as error:
        raise _silence(folder, within_s) from error
    finally:
        asked.unlink(missing_ok=True)
        answered.unlink(missing_ok=True)
    if "error" in said:
        raise told_error(said["error"])
    return said["body"]


def _write(path: Path, value: Any) -> None:
    part = path.with_name(f".{path.name}")
    part.write_bytes(msgspec.json.encode(value))
    part.replace(path)


def _silence(folder: Path, within_s: float) -> FeasibleError:
    return FeasibleError(
        "the service that writes this ledger does not answer",
        asked=f"an order in {folder}, for {within_s:.0f} s",
        attempt="see whether another program holds the ledger, or whether the service is starting",
    )
