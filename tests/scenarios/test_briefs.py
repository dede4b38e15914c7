"""The briefs of the eight reference systems fit the nouns: rankings, prices, overlays, bundles."""

from __future__ import annotations

import pytest

from feasible.schema import dump_brief, load_brief, parse_brief
from feasible.systems import system_folder, system_names


def test_there_are_eight_reference_systems() -> None:
    """Each has a brief in a folder of its own."""
    names = "fraud meetings moderation pricing shorts support tickets voice"

    assert system_names() == tuple(names.split())


@pytest.mark.parametrize("name", system_names())
def test_a_reference_brief_loads_and_survives_write_and_read(name: str) -> None:
    """Five layers, a fallback, a guardrail, a bottleneck and a tradeoff are declared."""
    folder = system_folder(name)
    assert folder is not None

    brief = load_brief(folder).brief

    assert parse_brief(dump_brief(brief)).brief == brief
    layers = (brief.layers.data, brief.layers.features, brief.layers.serving, brief.layers.feedback)
    assert None not in layers
    assert brief.layers.tiers
    assert any(metric.kind == "guardrail" for metric in brief.metrics)
    assert brief.failures
    assert brief.bottleneck is not None
    assert brief.tradeoff is not None
    assert {o.kind for o in brief.envelope} >= {"latency", "cost", "quality", "throughput"}
