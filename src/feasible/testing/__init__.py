"""Fakes that are real implementations, for our tests and for yours.

`MemoryLedger` keeps the promises of a ledger except surviving its process; `ScriptedTier` answers,
raises, hangs or misbehaves exactly as a script says; `running_service` starts a real
service and `send_load` asks it in bursts; `drive_closed` and `drive_open` find out how much it
can do and how long it takes; `one_tier`, `three_tiers` and `worked_case` are designs to simulate.
"""

from feasible.testing.designs import one_tier, three_tiers, worked_case
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
    "one_tier",
    "post",
    "running_service",
    "send_load",
    "three_tiers",
    "worked_case",
]
