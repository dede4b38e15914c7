"""How often a feature was certified, and on which rows: each certificate is a look at them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from feasible.errors import PlanError
from feasible.schema.plan import DataUsed
from feasible.schema.plan_file import write_json

__all__ = ["Look", "Schedule", "add_look", "read_looks", "sample_of"]

Schedule = Literal["one", "many"]
"""`one`: each certificate spends its whole delta. `many`: the t-th spends 6 delta / (pi^2 t^2)."""

_KEPT: Final = 1_000
"""Hashes of row ids that are kept of a look; of more rows, the smallest ones stand for all."""
_EVERY: Final = 2**32


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One certificate."""

    feature: str
    cert_fingerprint: str
    """Hash of the ids of the rows that certified."""
    cert_sample: str
    """Hashes of some of these ids: see `sample_of`."""
    schedule: Schedule

    def shares(self, sample: str) -> float:
        """Estimate the share of the rows of a sample that this look has seen. Ratio.

        Within two percentage points, for rows that have not changed their ids.
        """
        mine, theirs = _hashes(self.cert_sample), _hashes(sample)
        within = min(_reach(mine), _reach(theirs))
        theirs = theirs[theirs <= within]
        return float(np.isin(theirs, mine).mean()) if len(theirs) else 0.0


class _Looks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    looks: tuple[Look, ...]


def sample_of(row_ids: Iterable[str]) -> str:
    """Give the smallest hashes of row ids, so that two sets of rows can be compared by them."""
    hashes = np.fromiter((zlib.crc32(i.encode()) for i in row_ids), dtype="<u4")
    if len(hashes) > 2 * _KEPT:  # some more than are kept: two rows may have the same hash
        hashes = np.partition(hashes, 2 * _KEPT)[: 2 * _KEPT]
    hashes = np.unique(hashes)
    return base64.b64encode(hashes[:_KEPT].tobytes()).decode()


def _hashes(sample: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(sample), dtype="<u4")


def _reach(hashes: np.ndarray) -> int:
    """Give the hash up to which a sample holds all of its rows'."""
    return int(hashes[-1]) if len(hashes) >= _KEPT else _EVERY


def read_looks(path: Path) -> tuple[Look, ...]:
    """Read the looks that were taken; none where there is no file.

    Raises:
        PlanError: The file is damaged.
    """
    try:
        looks = msgspec.json.decode(path.read_bytes(), type=_Looks).looks
        for look in looks:
            _hashes(look.cert_sample)
    except FileNotFoundError:
        return ()
    except (msgspec.DecodeError, ValueError, OSError) as error:
        raise PlanError(
            f"{path} does not say how often these rows were looked at",
            asked="the certificates that were given before, as `feasible plan` writes them",
            found=str(error),
            attempt="put back a copy, or remove the file: certificates then count as first ones, "
            "which is honest for rows that gave none",
        ) from error
    return looks


def add_look(path: Path, before: Sequence[Look], used: DataUsed, *, feature: str) -> None:
    """Count one more certificate."""
    made = Look(
        feature=feature,
        cert_fingerprint=used.cert_fingerprint,
        cert_sample=used.cert_sample,
        schedule=used.schedule,
    )
    write_json(_Looks(looks=(*before, made)), path)
