"""Rows that certify are the published ones, the latest ones, or a fair draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feasible.errors import DataError
from feasible.planning.splits import split_rows
from feasible.schema import Profile


def rows(n: int = 200) -> Profile:
    """Rows of which every twentieth is in slice `rare`."""
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
        slices={"rare": np.arange(n) % 20 == 0},
    )


def test_published_test_rows_certify_and_do_nothing_else() -> None:
    """The split that others use is kept to the row."""
    is_test = np.arange(200) >= 150

    split = split_rows(replace(rows(), is_test=is_test), seed=1)

    assert split.cert.tolist() == list(range(150, 200))


def test_the_latest_rows_certify() -> None:
    """Time runs one way: what certifies lies after what was searched."""
    split = split_rows(replace(rows(), time_s=np.arange(200.0)), seed=1)

    assert split.cert.min() > max(split.fit.max(), split.search.max())


def test_an_entity_seen_early_certifies_nothing_later() -> None:
    """Rows of a customer who was searched on are not new evidence."""
    names = tuple(str(i % 50) for i in range(150)) + tuple(f"new{i}" for i in range(50))

    split = split_rows(replace(rows(), time_s=np.arange(200.0), entity=names), seed=1)

    assert {names[i] for i in split.cert} == {f"new{i}" for i in range(50)}


def test_rows_of_one_moment_are_drawn() -> None:
    """Where every row has the same time there is no latest part."""
    assert "at random" in split_rows(replace(rows(), time_s=np.zeros(200)), seed=1).how


@pytest.mark.parametrize("seed", range(10))
def test_every_draw_gives_a_rare_slice_its_share(seed: int) -> None:
    """Ten rare rows: four certify, three or four fit, whatever the seed."""
    split = split_rows(rows(), seed=seed)

    rare = rows().slices["rare"]
    assert rare[split.cert].sum() == 4
    assert rare[split.fit].sum() == 3
    assert rare[split.search].sum() == 3


def test_too_few_rows_are_refused() -> None:
    """Two rows are not three sets."""
    with pytest.raises(DataError, match="too few rows to divide"):
        split_rows(rows(2), seed=0)
