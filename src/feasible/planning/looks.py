"""Which rows were used for what, and how often the rows that certify were looked at.

A certificate is for one look. Whoever plans again on the same CERT rows looks again: the looks are
counted, and what all of them together would leave of each promise is said. Whoever means to look
many times spends a part of delta at every look, the first one included, and keeps all of them.

Rows are the same by their ids. An earlier look counts when it saw more than half of the rows that
judge now; rows of which several looks saw a smaller part each, rows that got other ids, and plans
that somebody made without counting are not known here.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from feasible.planning.certify import Judged
from feasible.planning.splits import Split
from feasible.schema import (
    Brief,
    DataUsed,
    IntArray,
    Look,
    Objective,
    Profile,
    Schedule,
    sample_of,
)
from feasible.stats import delta_at

__all__ = ["at_look", "looked_again", "retrained", "used_rows"]

_SAME: Final = 0.5
"""Share of the rows that judge above which an earlier look at them is a look at the same rows."""
_FIT, _SEARCH, _CERT, _UNUSED = range(4)


def used_rows(
    profile: Profile,
    split: Split,
    *,
    name: str,
    synthetic: bool,
    searched: IntArray,
    fitted: IntArray,
    looks: Sequence[Look],
    schedule: Schedule,
) -> DataUsed:
    """Write down which rows were used for what.

    Args:
        profile: All rows.
        split: How they were divided.
        name: What they are called.
        synthetic: Whether they were made up.
        searched: SEARCH rows that were looked at.
        fitted: FIT rows that were fitted on.
        looks: Certificates that this feature had before.
        schedule: Whether this is one look, or one of many that keep their levels together.
    """
    part = np.full(len(profile), _UNUSED, dtype=np.uint8)
    part[fitted], part[searched], part[split.cert] = _FIT, _SEARCH, _CERT
    places = split.cert.tolist()
    ids = [profile.row_ids[i] for i in places]
    cert = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
    sample = sample_of(ids)
    counted = [one for one in looks if schedule == "many" or one.shares(sample) > _SAME]
    return DataUsed(
        name=name,
        synthetic=synthetic,
        fingerprint=_fingerprint(profile),
        n_fit=len(fitted),
        n_search=len(searched),
        n_cert=len(split.cert),
        split=split.how,
        cert_fingerprint=cert,
        cert_sample=sample,
        look=len(counted) + 1,
        schedule=schedule,
        parts=base64.b64encode(zlib.compress(part.tobytes(), 6)).decode(),
    )


def _fingerprint(profile: Profile) -> str:
    digest = hashlib.sha256("\n".join(profile.row_ids).encode())
    for values in (profile.loss, profile.score, profile.cost_usd):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def at_look(brief: Brief, used: DataUsed) -> Brief:
    """Give the brief at the levels that this look is certified at.

    Of many looks the t-th spends 6 delta / (pi^2 t^2), from the first one on: all of them, however
    many there will be, then hold together at the declared levels.
    """
    if used.schedule == "one":
        return brief

    def at(objective: Objective) -> Objective:
        delta = delta_at(used.look, delta=1 - objective.confidence_level)
        return msgspec.structs.replace(objective, confidence_level=1 - delta)

    envelope = tuple(at(objective) for objective in brief.envelope)
    return msgspec.structs.replace(brief, envelope=envelope)


def looked_again(judged: Judged, used: DataUsed, looks: Sequence[Look]) -> list[str]:
    """Say which looks the certificate is for, and what a further one leaves of each promise."""
    if used.schedule == "many":
        return _of_many(used, looks)
    if used.look == 1:
        return []
    look, made = used.look, judged.constraints
    kept = [
        c.id
        for c in made
        if judged.verdict(c, level=1 - delta_at(look, delta=1 - c.objective.confidence_level)).holds
    ]
    held = f"{len(kept)} of {len(made)} promises hold at it"
    lost = [c.id for c in made if c.id in judged.held and c.id not in kept]
    rest = f"; not {', '.join(lost)}" if lost else ""
    told = (
        f"look {look} at these {len(judged.exit_of_row):,} CERT rows: each line is for one look "
        f"alone. At the level of look {look} of many, {held}{rest}. The looks before it spent "
        f"their whole delta: to keep all looks together, plan with `--looks many` from the first"
    )
    return [told]


def _of_many(used: DataUsed, looks: Sequence[Look]) -> list[str]:
    part = delta_at(used.look, delta=1.0)
    first = (
        f"look {used.look} of many: each line spends {part:.2g} of its delta, so that every "
        f"certificate of this feature, this and later ones, holds at the declared levels together"
    )
    told = [first]
    whole = sum(one.schedule == "one" for one in looks)
    if whole:
        told.append(
            f"{whole:,} earlier looks spent their whole delta: together with them the declared "
            f"levels are not kept"
        )
    return told


def retrained(brief: Brief, used: DataUsed) -> list[str]:
    """Say that one look will not do, where the brief fits and certifies again and again."""
    feedback = brief.layers.feedback
    retrain = None if feedback is None else feedback.retrain
    if used.schedule == "many" or retrain is None or (retrain.every or retrain.trigger) is None:
        return []
    often = "when its trigger says so" if retrain.every is None else f"every {retrain.every}"
    told = (
        f"the certificate is for one look, and the brief fits again {often}: `--looks many` keeps "
        f"all certificates together"
    )
    return [told]
