"""Which rows may be used for what: FIT calibrates, SEARCH chooses, CERT judges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.errors import DataError
from feasible.planning.entities import units_of
from feasible.schema import BoolArray, FloatArray, IntArray, Profile

__all__ = ["Split", "split_rows"]

_CERT_SHARE: Final = 0.4
_CERT_SHARE_BARE: Final = 0.6
"""The same where no tier gives a score: there is next to nothing to fit, and all to show."""
_FIT_SHARE: Final = 0.5
_MOST_APART: Final = 0.5
"""Share of the rows that do not certify which may be given up to keep entities apart."""
_FEW_LABELS: Final = 20
_STREAM: Final = 5_141


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows may be used for what.

    Attributes:
        fit: Row numbers.
        search: Row numbers, disjoint from `fit`; the same where nothing but a router can be fitted,
            which foresees the rows that it was fitted on by leaving them out.
        cert: Row numbers, disjoint from both.
        how: In a sentence.
    """

    fit: IntArray
    search: IntArray
    cert: IntArray
    how: str


def split_rows(profile: Profile, *, seed: int) -> Split:
    """Divide rows by the published split, else by time, else at random; entities stay together.

    Where the split or the time decides, entities may be on both sides of it. What certifies stays
    as it is; the other rows of these entities are used for nothing, unless most rows are theirs.

    Random draws take the same share of every combination of slices and labels, so that a
    rare one is never left without rows to certify it by bad luck.

    Raises:
        DataError: One of the three sets would be empty.
    """
    # A stream of its own: rows drawn elsewhere with the same seed must not line up with the split.
    rng = np.random.default_rng([_STREAM, seed])
    cert, how = _cert_rows(profile, rng)
    apart, kept = _apart(profile, cert)
    rest = np.flatnonzero(~cert & ~apart)
    if _is_mute(profile):
        how = f"{how} fits and searches, since nothing is said that could be fitted{kept}"
        split = Split(rest, rest, np.flatnonzero(cert), how)
    else:
        is_fit = _drawn(profile, rest, _FIT_SHARE, rng)
        how = f"{how} is halved at random{kept}"
        split = Split(rest[is_fit], rest[~is_fit], np.flatnonzero(cert), how)
    if not (len(split.fit) and len(split.search) and len(split.cert)):
        raise DataError(
            "there are too few rows to divide into fitting, searching and certifying",
            found=f"{len(split.fit)}, {len(split.search)} and {len(split.cert)} rows",
            attempt="give more rows, or mark `split` train and test",
        )
    return split


def _is_mute(profile: Profile) -> bool:
    """Claim that no tier gives a score or an answer that could be compared with another's."""
    return bool(np.isnan(profile.score).all() and (profile.answer_class < 0).all())


def _cert_rows(profile: Profile, rng: np.random.Generator) -> tuple[BoolArray, str]:
    n = len(profile)
    is_bare = bool(np.isnan(profile.score).all())
    share = _CERT_SHARE_BARE if is_bare else _CERT_SHARE
    if profile.is_test is not None and profile.is_test.any() and not profile.is_test.all():
        return profile.is_test, "the published test split certifies; the rest"
    if profile.time_s is not None:
        labelled = np.asarray(~np.isnan(profile.loss).all(axis=1))
        late = _latest(profile.time_s, labelled, share)
        if late.any():
            return late, _told(profile.time_s, late)
    drawn = _drawn(profile, np.arange(n), share, rng)
    return drawn, f"{share:.0%} of the rows, drawn at random, certify; the rest"


def _latest(time_s: FloatArray, labelled: BoolArray, share: float) -> BoolArray:
    """Give every row after a moment that leaves a share of the labelled rows.

    Rows without a time are not among them.
    """
    known = ~np.isnan(time_s)
    if not known.any():
        return known
    counted = known & labelled if (known & labelled).any() else known
    return np.asarray(known & (time_s > np.quantile(time_s[counted], 1 - share)))


def _told(time_s: FloatArray, late: BoolArray) -> str:
    """Say which rows are the latest, and how many have no time."""
    first, last = _moments(float(time_s[late].min()), float(time_s[late].max()))
    unknown = int(np.isnan(time_s).sum())
    rest = f"; those without a time ({unknown:,}) do not; the rest" if unknown else "; the rest"
    return f"the latest {late.mean():.0%} of the rows ({first} to {last}) certify{rest}"


def _moments(*seconds: float) -> list[str]:
    """Show times by their day, or by the second where they are of one day."""
    found = [np.datetime64(math.floor(value), "s") for value in seconds]
    days = [str(one.astype("datetime64[D]")) for one in found]
    return days if len(set(days)) > 1 else [str(one).replace("T", " ") for one in found]


def _apart(profile: Profile, cert: BoolArray) -> tuple[BoolArray, str]:
    """Give the rows that do not certify and are of an entity that does: they train nothing.

    Where most rows are such rows, they are used after all, and that is said.

    Returns:
        shape (n_rows,), and what to say.
    """
    none = np.zeros(len(profile), dtype=np.bool_)
    unit = units_of(profile)
    if unit is None:
        return none, ""
    shared = ~cert & np.isin(unit, unit[cert])
    count, others = int(shared.sum()), int((~cert).sum())
    if not count:
        return none, ""
    if count > _MOST_APART * others:
        what = f"{count:,} of these {others:,} rows are of entities that certify too"
        return none, f"; {what}: new entities may fare otherwise"
    return shared, f"; {count:,} other rows of entities that certify are used for nothing"


def _drawn(profile: Profile, rows: IntArray, share: float, rng: np.random.Generator) -> BoolArray:
    """Draw a share of rows, the same share of every stratum; entities stay whole.

    Returns:
        shape (len(rows),).
    """
    units = units_of(profile)
    unit = None if units is None else _numbered(units[rows])
    stratum = _strata(profile, rows)
    if unit is not None:
        stratum = stratum[np.unique(unit, return_index=True)[1]]
    # In the order of a shuffle, the first of every stratum are drawn.
    order = rng.permutation(len(stratum))
    order = order[np.argsort(stratum[order], kind="stable")]
    size = np.bincount(stratum)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    place = np.empty(len(stratum), dtype=np.int64)
    place[order] = np.arange(len(stratum)) - first[stratum[order]]
    # The fraction left over is drawn too, so that small strata are not always cut short.
    count = np.floor(share * size + rng.random(len(size))).astype(np.int64)
    chosen = place < count[stratum]
    return np.asarray(chosen if unit is None else chosen[unit])


def _strata(profile: Profile, rows: IntArray) -> IntArray:
    """Number the combinations of slices, labels (when there are few) and being labelled at all."""
    code = np.asarray(~np.isnan(profile.loss[rows]).all(axis=1), dtype=np.int64)
    for member in profile.slices.values():
        code = _numbered(2 * code + member[rows])
    truth = profile.truth
    if len(truth.names) <= _FEW_LABELS:
        code = code * (len(truth.names) + 1) + truth.code[rows] + 1
    return _numbered(code)


def _numbered(code: IntArray) -> IntArray:
    """Number the codes that occur from 0 on, in their order."""
    occurs = np.bincount(code) > 0
    return np.asarray((np.cumsum(occurs) - 1)[code], dtype=np.int64)
