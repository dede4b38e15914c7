"""`feasible watch` tells of any time what was known then, and refuses what it cannot answer."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feasible import loop
from feasible.cli import main
from feasible.clock import VirtualClock
from feasible.ledger import SqliteLedger, decision_id_at
from feasible.schema import Decision, Label, read_plan
from feasible.systems import open_feature, write_starter

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def run(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["feasible", *argv])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("at", ["yesterday", "2026-12-01T10:00:00"])
def test_a_time_without_its_zone_is_refused(
    at: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with the form that is wanted."""
    assert run(["watch", "support", "--at", at], monkeypatch) == 2
    assert "--at 2026-12-01T10:00:00Z" in capsys.readouterr().err


def test_a_feature_that_was_never_served_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no ledger yet, and that is said."""
    folder = write_starter(tmp_path / "triage")

    assert run(["watch", str(folder)], monkeypatch) != 0
    assert "nothing has been served" in capsys.readouterr().err


@pytest.mark.slow
def test_what_came_later_shows_in_no_answer_about_an_earlier_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger with twice the history says of the middle what the one of the middle says."""
    monkeypatch.chdir(tmp_path)
    write_starter(tmp_path / "triage")
    assert run(["plan", "triage", "--quiet"], monkeypatch) in {0, 3, 4}
    feature = open_feature("triage")
    plan = read_plan(feature.plan_path)
    decisions = [
        Decision(
            decision_id=decision_id_at(at), at=at, plan=plan.id, answer="billing",
            probability=0.9, tier=plan.tiers[0].name, path=(), cost_nusd=1_000, latency_ms=2.0,
            request={"text": "x"},
        )
        for at in (NOON + timedelta(hours=4 * i) for i in range(120))
    ]  # fmt: skip
    labels = [
        Label(
            decision_id=one.decision_id, value="billing" if i % 3 else "tax", source="human",
            known_at=one.at + timedelta(days=3), selection="audit",
        )
        for i, one in enumerate(decisions)
    ]  # fmt: skip
    middle = NOON + timedelta(days=10)
    # A day passes until each is told: in the middle, the last six are known to others alone.
    received = [label.known_at + timedelta(days=1) for label in labels]

    async def written(path: Path, until: datetime) -> str:
        clock = VirtualClock(NOON)
        ledger = SqliteLedger(path, clock=clock)
        for one in decisions:
            if one.at <= until:
                await ledger.append(one)
        for label, received_at in zip(labels, received, strict=True):
            clock.advance((received_at - clock.now()).total_seconds())
            if received_at <= until:
                await ledger.add_labels([label])
        ledger.close()
        return f"sqlite:///{path}"

    whole = asyncio.run(written(tmp_path / "whole.db", NOON + timedelta(days=99)))
    half = asyncio.run(written(tmp_path / "half.db", middle))

    then = loop.watch(feature, ledger_url=whole, at=middle)
    assert then == loop.watch(feature, ledger_url=half, at=middle)
    assert (then.labels.decisions, then.labels.labelled) == (61, 37)
    assert loop.watch(feature, ledger_url=whole).labels.labelled == 120
