"""Fakes that are real implementations, for our tests and for yours.

`MemoryLedger` keeps the promises of a ledger except surviving its process; `ScriptedTier` answers,
raises, hangs or misbehaves exactly as a script says. Nothing outside tests imports this room.
"""

from feasible.testing.memory_ledger import MemoryLedger
from feasible.testing.scripted_tier import AsyncScriptedTier, Hang, ScriptedTier, WrongLength

__all__ = ["AsyncScriptedTier", "Hang", "MemoryLedger", "ScriptedTier", "WrongLength"]
