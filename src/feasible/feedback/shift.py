"""How far the inputs have moved: a diagnosis to read under an alarm, never an alarm.

Inputs move without harm all the time, and harm comes without inputs that move. So there is a
distance for each column and no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.schema import FloatArray, IntArray

__all__ = ["Moved", "Reference"]

_CELLS: Final = 512
"""Of equal width, over nearly all of the reference, and one for what lies outside on each side."""
_TAIL: Final = 0.0005


@dataclass(frozen=True, slots=True)
class Moved:
    """Distances of columns from a reference, one row a chunk.

    Attributes:
        columns: Their names.
        ks: Largest gap of the distribution functions. shape (n_chunks, n_columns). Ratio.
        jensen_shannon: Distance, base 2. shape (n_chunks, n_columns). Ratio.
        wasserstein: In standard deviations of the reference. shape (n_chunks, n_columns).
    """

    columns: tuple[str, ...]
    ks: FloatArray
    jensen_shannon: FloatArray
    wasserstein: FloatArray


class Reference:
    """What the inputs looked like when all was well.

    Args:
        table: shape (n_rows, n_columns). NaN is missing, and counts as a value of its own.
        columns: Their names.
    """

    def __init__(self, table: FloatArray, columns: tuple[str, ...]) -> None:
        if table.ndim != 2 or table.shape[1] != len(columns) or not len(table):  # noqa: PLR2004
            msg = f"a reference has rows and {len(columns)} columns; found shape {table.shape}"
            raise ValueError(msg)
        self._columns = columns
        self._low = np.empty(len(columns))
        self._per_unit = np.empty(len(columns))
        self._sd = np.empty(len(columns))
        self._share = np.empty((len(columns), _CELLS + 3))
        for j, column in enumerate(table.T):
            known = column[np.isfinite(column)]
            low, high = np.quantile(known, [_TAIL, 1 - _TAIL]) if len(known) else (0.0, 1.0)
            width = float(high - low) or 1.0
            self._low[j], self._per_unit[j] = low, _CELLS / width
            self._sd[j] = (float(known.std()) if len(known) else 0.0) or 1.0
            counts = np.bincount(self._cells(column, j), minlength=_CELLS + 3)
            self._share[j] = counts / len(table)

    def distances(self, table: FloatArray, *, chunk: int) -> Moved:
        """Give the distances of each chunk of rows; the last one may be shorter.

        Args:
            table: shape (n_rows, n_columns), in time order.
            chunk: Rows of a chunk. Count.
        """
        n_chunks = -(-len(table) // chunk)
        at = (np.arange(len(table), dtype=np.int32) // np.int32(chunk)) * np.int32(_CELLS + 3)
        rows = np.diff(np.minimum(np.arange(n_chunks + 1) * chunk, len(table)))[:, None]
        ks, js, moved = (np.empty((n_chunks, len(self._columns))) for _ in range(3))
        for j in range(len(self._columns)):
            cells = self._cells(table[:, j], j)
            cells += at
            counts = np.bincount(cells, minlength=n_chunks * (_CELLS + 3))
            share = counts.reshape(n_chunks, _CELLS + 3) / rows
            gap = np.cumsum(share - self._share[j], axis=1)
            ks[:, j] = np.abs(gap).max(axis=1)
            js[:, j] = _jensen_shannon(share, self._share[j])
            moved[:, j] = np.abs(gap[:, 1:]).sum(axis=1) / self._per_unit[j] / self._sd[j]
        return Moved(self._columns, ks, js, moved)

    def _cells(self, column: FloatArray, j: int) -> IntArray:
        """Give the cell of each value: 0 for missing, then below, the equal ones, and above."""
        scaled = (column - self._low[j]) * self._per_unit[j]
        scaled += 2.0
        np.clip(scaled, 1.0, _CELLS + 2.0, out=scaled)
        missing = np.isnan(scaled)
        if missing.any():
            scaled[missing] = 0.0
        cells: IntArray = scaled.astype(np.int32)
        return cells


def _jensen_shannon(share: FloatArray, reference: FloatArray) -> FloatArray:
    middle = (share + reference) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(share > 0, share * np.log2(share / middle), 0.0).sum(axis=1)
        two = np.where(reference > 0, reference * np.log2(reference / middle), 0.0).sum(axis=1)
    distance: FloatArray = np.sqrt(np.maximum(0.0, (one + two) / 2))
    return distance
