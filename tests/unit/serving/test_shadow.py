"""What a shadow may spend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from feasible.schema import Answer, Plan, PlanShare
from feasible.serving import DecideRequest, Runtime, Shadow
from feasible.testing import MemoryLedger, ScriptedTier


@pytest.mark.parametrize(("spent_nusd", "asked"), [(0, 3), (10_000_000, 2), (30_000_000, 0)])
def test_what_was_spent_before_a_restart_counts(
    plan_for: Callable[..., Plan], spent_nusd: int, asked: int
) -> None:
    """Three cents a day are three calls of a cent, however often the service starts anew."""
    tier = ScriptedTier(
        [Answer("a", score=0.9)], name="dear", usd_per_call=0.01, worst_usd_per_call=0.01
    )
    runtime = Runtime(plan_for([tier], deadline_ms=5000.0), {"dear": tier}, MemoryLedger())
    request = DecideRequest(request={"text": "a"})
    said: list[dict[str, Any]] = []

    async def record(body: dict[str, Any]) -> None:
        said.append(body)

    async def use() -> int:
        decision = await runtime.rehearse(request)
        shadow = Shadow(
            runtime,
            PlanShare(plan="p", share=1.0, usd_per_day=0.03),
            record=record,
            spent=lambda: spent_nusd,
        )
        for _ in range(6):
            shadow.consider(request, decision)
        async with asyncio.timeout(30):
            while len(said) + shadow.skipped < 6:  # noqa: ASYNC110  several tasks
                await asyncio.sleep(0.01)
        shadow.close()
        await asyncio.sleep(0)
        return shadow.skipped

    assert asyncio.run(use()) == 6 - asked
    assert [body["spent_nusd"] for body in said] == [10_000_000] * asked
