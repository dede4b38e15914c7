"""Which rows may be used for what: FIT calibrates, SEARCH chooses, CERT judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.errors import DataError
from feasible.schema import BoolArray, IntArray, Profile

__all__ = ["Split", "split_rows"]

_CERT_SHARE: Final = 0.4
_FIT_SHARE: Final = 0.5
_STREAM: Final = 5_141


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint sets of rows.

    Attributes:
        fit: Row numbers.
        search: Row numbers.
        cert: Row numbers.
        how: In a sentence.
    """

    fit: IntArray
    search: IntArray
    cert: IntArray
    how: str


def split_rows(profile: Profile, *, seed: int) -> Split:
    """Divide rows by the published split, else by time, else at random; entities stay together.

    Raises:
        DataError: One of the three sets would be empty.
    """
    # A stream of its own: rows drawn elsewhere with the same seed must not line up with the split.
    rng = np.random.default_rng([_STREAM, seed])
    cert, how = _cert_rows(profile, rng)
    rest = np.flatnonzero(~cert)
    unit = _unit(profile, rest)
    is_fit = rng.random(int(unit.max(initial=-1)) + 1)[unit] < _FIT_SHARE
    split = Split(rest[is_fit], rest[~is_fit], np.flatnonzero(cert), how)
    if not (len(split.fit) and len(split.search) and len(split.cert)):
        raise DataError(
            "there are too few rows to divide into fitting, searching and certifying",
            found=f"{len(split.fit)}, {len(split.search)} and {len(split.cert)} rows",
            attempt="give more rows, or mark `split` train and test",
        )
    return split


def _cert_rows(profile: Profile, rng: np.random.Generator) -> tuple[BoolArray, str]:
    n = len(profile)
    if profile.is_test is not None and profile.is_test.any() and not profile.is_test.all():
        return profile.is_test, "the published test split certifies; the rest is halved at random"
    if profile.time_s is not None and not np.isnan(profile.time_s).any():
        cut = np.quantile(profile.time_s, 1 - _CERT_SHARE)
        cert = profile.time_s > cut
        if profile.entity is not None:
            early = {profile.entity[i] for i in np.flatnonzero(~cert)}
            cert &= np.array([name not in early for name in profile.entity])
        return cert, f"the latest {_CERT_SHARE:.0%} of the rows certify; the rest is halved"
    unit = _unit(profile, np.arange(n))
    cert = rng.random(int(unit.max(initial=-1)) + 1)[unit] < _CERT_SHARE
    return cert, f"{_CERT_SHARE:.0%} of the rows, drawn at random, certify; the rest is halved"


def _unit(profile: Profile, rows: IntArray) -> IntArray:
    """Number what must stay together: entities, or single rows."""
    if profile.entity is None:
        return np.arange(len(rows))
    names = np.array([profile.entity[i] for i in rows], dtype=object).astype(str)
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
