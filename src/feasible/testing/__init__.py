"""Fakes that are real implementations, for our tests and for yours.

`MemoryLedger` keeps the promises of a ledger except surviving its process; `ScriptedTier` answers,
raises, hangs or misbehaves exactly as a script says; `running_service` starts a real
service and `send_load` asks it in bursts; `drive_closed` and `drive_open` find out how much it
can do and how long it takes.
"""

from feasible.testing.drive import Call, Drive, drive_closed, drive_open, post
from feasible.testing.load import Load, send_load
from feasible.testing.memory_ledger import MemoryLedger
from feasible.testing.scripted_tier import AsyncScriptedTier, Hang, ScriptedTier, WrongLength
from feasible.testing.service import Service, running_service

__all__ = [
    "AsyncScriptedTier",
    "Call",
    "Drive",
    "Hang",
    "Load",
    "MemoryLedger",
    "ScriptedTier",
    "Service",
    "WrongLength",
    "drive_closed",
    "drive_open",
    "post",
    "running_service",
    "send_load",
]
