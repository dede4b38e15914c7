"""Rows that go together, and at most so many of one entity."""

from __future__ import annotations

import numpy as np

from feasible.planning.entities import EntitySize, blocks_of, capped, size_of, units_of
from feasible.schema import Profile


def rows(*names: str) -> Profile:
    """Give one row a name."""
    n = len(names)
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("m",),
        loss=np.zeros((n, 1)),
        answered=np.ones((n, 1), dtype=np.bool_),
        score=np.ones((n, 1)),
        answer_class=np.zeros((n, 1), dtype=np.int64),
        classes=("a",),
        latency_ms=np.ones((n, 1)),
        cost_usd=np.ones((n, 1)),
        entity=tuple(names),
    )


def test_rows_without_a_name_stand_alone() -> None:
    """Nobody is not a customer with many rows."""
    found = units_of(rows("b", "", "a", "", "b"))

    assert found is not None
    assert found.tolist() == [1, 2, 0, 3, 1]
    assert blocks_of(rows("a", "", "")) is None


def test_sizes_count_the_rows_that_could_judge() -> None:
    """Entities of 3, 1 and 0 judging rows: the largest has 3, and (1 + 1/9) / 2 of it is filled."""
    could = np.array([True, True, True, True, False])

    found = size_of(np.array([0, 0, 0, 1, 2]), could)

    assert (found.most, round(found.spread, 4)) == (3, round((1 + 1 / 9) / 2, 4))


def test_of_a_larger_entity_so_many_rows_judge_as_one_may_have() -> None:
    """Two of five rows of `a` stay, the same two every time; `b` keeps its own."""
    profile = rows("a", "a", "a", "a", "a", "b", "b")
    block = units_of(profile)
    assert block is not None

    kept, size = capped(profile, block, np.ones(7, dtype=np.bool_), EntitySize(2, 1.0))
    again, _ = capped(profile, block, np.ones(7, dtype=np.bool_), EntitySize(2, 1.0))

    assert kept[:5].sum() == 2
    assert kept[5:].all()
    assert kept.tolist() == again.tolist()
    assert str(size) == ("no entity weighs more than 2 rows: of larger ones (1 here) 2 rows judge")
