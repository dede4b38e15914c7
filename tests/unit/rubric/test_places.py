"""A finding has a line, also when what it misses is not written."""

from __future__ import annotations

import pytest

from feasible.rubric.places import place_of
from feasible.schema import parse_brief

BRIEF = """feasible: 1
name: x
goal: {statement: x}
envelope:
  - {latency: p99, at_most: 1 s}
layers:
  tiers:
    - {name: rules, kind: rules, usd: $0}
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("layers.tiers[0]", 8),
        ("layers.features", 6),  # the section is there, the layer is not
        ("metrics", 3),
        ("traffic.peak", 4),
        ("tradeoff.number", 6),
    ],
)
def test_what_is_not_written_points_to_what_stands_before_it(path: str, line: int) -> None:
    """The part, the part above it, or the section before it."""
    assert place_of(parse_brief(BRIEF), path) == f"brief.yaml:{line}"
