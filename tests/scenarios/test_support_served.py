"""The support system served: twenty thousand questions in bursts, each answered and on record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import numpy as np
import pytest

from feasible import loop
from feasible.ledger import open_ledger
from feasible.systems import open_feature
from feasible.testing import running_service, send_load

REQUESTS, CLIENTS = 20_000, 64


@pytest.mark.slow
def test_twenty_thousand_bursty_requests_are_answered_inside_the_envelope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No error, every decision in a whole ledger, and late answers as rare as the brief allows."""
    monkeypatch.chdir(tmp_path)
    feature = open_feature("support")
    report = loop.plan(feature)
    assert report.plan is not None, report.infeasible
    rows = [row for row in feature.dataset().examples if row.split == "test"]
    chosen = np.random.default_rng(7).integers(0, len(rows), REQUESTS)
    # Half of the questions come with a number of their own, so that the cache cannot answer them.
    texts = [rows[row].request["text"] + (f" {i}" if i % 2 else "") for i, row in enumerate(chosen)]
    ledger = f"sqlite:///{tmp_path / 'decisions.db'}"
    with running_service("support", ledger=ledger) as service:
        load = asyncio.run(
            send_load(service.url, [{"text": text} for text in texts], clients=CLIENTS, seed=7)
        )
        metrics = httpx.get(f"{service.url}/metrics").text
        assert service.stop() == 0

    assert load.errors == 0, (load.refused, load.broken[:3])
    assert len(load.decisions) == REQUESTS
    late = float(metrics.split("\nfeasible_deadline_breaches_total ", 1)[1].split()[0])
    assert late <= 0.01 * REQUESTS
    reading = open_ledger(ledger, write=False)
    found = {decision.decision_id for decision in reading.decisions()}
    assert set(load.decisions) == found
    assert reading.verify().whole
    reading.close()
