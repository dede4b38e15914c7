"""Which rows were used for what, and how often the rows that certify were looked at.

A certificate is for one look. Whoever plans again on the same CERT rows looks again: the looks are
counted, and what all of them together would leave of each promise is said.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping

import numpy as np

from feasible.planning.certify import Judged
from feasible.planning.splits import Split
from feasible.schema import DataUsed, IntArray, Profile
from feasible.stats import delta_at

__all__ = ["looked_again", "used_rows"]

_FIT, _SEARCH, _CERT, _UNUSED = range(4)


def used_rows(
    profile: Profile,
    split: Split,
    *,
    name: str,
    synthetic: bool,
    searched: IntArray,
    fitted: IntArray,
    looks: Mapping[str, int],
) -> DataUsed:
    """Write down which rows were used for what.

    Args:
        profile: All rows.
        split: How they were divided.
        name: What they are called.
        synthetic: Whether they were made up.
        searched: SEARCH rows that were looked at.
        fitted: FIT rows that were fitted on.
        looks: Fingerprint of CERT rows -> certificates that they gave before.
    """
    part = np.full(len(profile), _UNUSED, dtype=np.uint8)
    part[fitted], part[searched], part[split.cert] = _FIT, _SEARCH, _CERT
    places = split.cert.tolist()
    cert = hashlib.sha256("\n".join(profile.row_ids[i] for i in places).encode()).hexdigest()[:16]
    return DataUsed(
        name=name,
        synthetic=synthetic,
        fingerprint=_fingerprint(profile),
        n_fit=len(fitted),
        n_search=len(searched),
        n_cert=len(split.cert),
        split=split.how,
        cert_fingerprint=cert,
        look=looks.get(cert, 0) + 1,
        parts=base64.b64encode(zlib.compress(part.tobytes(), 6)).decode(),
    )


def _fingerprint(profile: Profile) -> str:
    digest = hashlib.sha256("\n".join(profile.row_ids).encode())
    for values in (profile.loss, profile.score, profile.cost_usd):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def looked_again(judged: Judged, look: int) -> list[str]:
    """Say what a further look at the same rows leaves of each promise; nothing at the first one.

    The t-th look may spend 6 delta / (pi^2 t^2), so that all looks together keep the level.
    """
    if look < 2:  # noqa: PLR2004  again
        return []
    made = judged.sheet.constraints(judged.candidate.chain)
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
        f"alone. At the level that keeps all {look} looks together, {held}{rest}"
    )
    return [told]
