"""Structured logs: JSON lines on standard error, without bodies, keys or what tiers said."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog

from feasible.serving.aside import Aside

__all__ = ["Log", "take_over_logging"]

_MOST_FRAMES: Final = 12
_LONGEST_TEXT: Final = 1000
_LEVELS: Final = logging.getLevelNamesMapping()


class Log:
    """Writes one line per event, aside from whoever reports it.

    Args:
        aside: Where lines are written.
        level: The least that is written, `debug` to `error`.
        out: Where to; standard error when absent.
    """

    def __init__(self, aside: Aside, *, level: str = "info", out: TextIO | None = None) -> None:
        self._aside = aside
        self._least = _LEVELS[level.upper()]
        self._logger = structlog.wrap_logger(
            structlog.WriteLogger(out or sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.JSONRenderer(default=str),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self._least),
            context_class=dict,
        )

    def note(self, level: str, event: str, **fields: Any) -> None:
        """Write a line soon.

        Args:
            level: Its level, `debug` to `error`.
            event: What happened, in words that are always the same.
            fields: The facts. Those that are None are left out.
        """
        number = _LEVELS[level.upper()]
        if number < self._least:
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        known = {name: value for name, value in fields.items() if value is not None}
        self._aside.put(lambda: self._logger.log(number, event, at=at, **known))


class _Handler(logging.Handler):
    """Hands what libraries log to our own log.

    The text of an exception may be a customer's: where it was raised is logged, and its type.
    """

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        if record.levelno < logging.WARNING:
            level = "info" if record.levelno >= logging.INFO else "debug"
        kind = frames = None
        if record.exc_info is not None and record.exc_info[0] is not None:
            kind = record.exc_info[0].__name__
            frames = [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])[-_MOST_FRAMES:]
            ]
        text = record.getMessage()[:_LONGEST_TEXT]
        self._log.note(level, text, logger=record.name, error=kind, trace=frames)


def take_over_logging(log: Log) -> None:
    """Let everything that this process logs be lines of our log."""
    root = logging.getLogger()
    root.handlers = [_Handler(log)]
    root.setLevel(logging.WARNING)
