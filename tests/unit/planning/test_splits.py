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


def entities(*, returning: int) -> Profile:
    """120 early rows of 120 customers; of the 80 late rows, some are of these customers."""
    names = [f"c{i}" for i in range(120)]
    names += [f"c{i}" if i < returning else f"new{i}" for i in range(80)]
    return replace(rows(), time_s=np.arange(200.0), entity=tuple(names))


def test_every_late_row_certifies_and_its_customers_early_rows_train_nothing() -> None:
    """What certifies is the future as it is, not its one-off customers; and it is new."""
    profile = entities(returning=30)

    split = split_rows(profile, seed=1)

    assert split.cert.tolist() == list(range(120, 200))
    used = {*split.fit, *split.search}
    assert used == set(range(30, 120))
    assert "the latest 40% of the rows" in split.how
    assert "30 other rows of entities that certify are used for nothing" in split.how


def test_where_nearly_all_customers_return_they_train_and_it_is_said() -> None:
    """Without the early rows of those who come back there would be nothing to fit on."""
    split = split_rows(entities(returning=70), seed=1)

    assert split.cert.tolist() == list(range(120, 200))
    assert {*split.fit, *split.search} == set(range(120))
    assert "70 of these 120 rows are of entities that certify too" in split.how


def test_rows_without_an_entity_are_nobodys_rows() -> None:
    """An empty name is no customer whose rows go together."""
    names = tuple("" if i % 2 else f"c{i}" for i in range(200))

    split = split_rows(replace(rows(), time_s=np.arange(200.0), entity=names), seed=1)

    assert len(split.fit) + len(split.search) == 120


def test_customers_on_both_sides_of_a_published_split_train_nothing() -> None:
    """Ten customers of the published test rows have a row among the others."""
    names = tuple(f"c{i % 190}" for i in range(200))

    split = split_rows(replace(rows(), is_test=np.arange(200) >= 150, entity=names), seed=1)

    assert split.cert.tolist() == list(range(150, 200))
    assert {*split.fit, *split.search} == set(range(10, 150))
    assert "10 other rows of entities that certify are used for nothing" in split.how


def test_rows_without_a_time_never_certify() -> None:
    """One unknown time does not make the future a random draw."""
    time_s = np.arange(200.0) * 86_400
    time_s[[7, 190]] = np.nan

    split = split_rows(replace(rows(), time_s=time_s), seed=1)

    assert split.cert.min() > max({*split.fit, *split.search} - {190})
    assert not {7, 190} & {*split.cert}
    assert "(1970-05-01 to 1970-07-19) certify; those without a time (2) do not" in split.how


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
