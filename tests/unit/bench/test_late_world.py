from __future__ import annotations

import hashlib

import numpy as np
from bench.late_world import DAYS, make_world


def test_the_generator_is_frozen() -> None:
    """The same seeds give the same worlds as when it was committed, before the estimator."""
    digest = hashlib.sha256()
    for seed in range(3):
        world = make_world(seed)
        for table in (world.rows, world.fraud, world.audited, world.audit_fraud, world.reports):
            digest.update(np.ascontiguousarray(table, dtype="<i8").tobytes())

    assert digest.hexdigest() == "25f708444394d3bf0fc54bb54a415fa9da5dc81a4c0aaa89d0ae0851d6f93183"


def test_only_what_went_through_is_reported() -> None:
    """Every fraud that was neither audited nor blocked is reported once, and no other."""
    world = make_world(1)
    reported = np.zeros_like(world.rows)
    np.add.at(reported, (world.reports[:, 0], world.reports[:, 1]), 1)
    through = ~world.blocked

    missing = (world.fraud - world.audit_fraud - reported)[:, through]
    assert not missing.any()
    assert (reported <= world.observable).all()
    assert reported[:, world.blocked].sum() < 0.1 * world.fraud[:, world.blocked].sum()


def test_the_new_pattern_lowers_recall_and_not_the_scores() -> None:
    """The concept drifts: the scores of before and after are alike, the truth is not."""
    worlds = [make_world(seed) for seed in range(10)]

    for world in worlds:
        assert world.recall(DAYS - 1) < world.recall(world.drift_day) - 0.04
    before = np.mean([(w.rows[:28] @ w.score).sum() / w.rows[:28].sum() for w in worlds])
    after = np.mean([(w.rows[84:112] @ w.score).sum() / w.rows[84:112].sum() for w in worlds])
    assert abs(before / after - 1) < 0.01
