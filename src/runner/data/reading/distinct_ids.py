"""Whole-number ids and their places in ascending order, in time linear in the rows."""

from __future__ import annotations

import numpy as np
import pyarrow
import pyarrow.compute

_GAPS = 4  # numbers for each value, up to which a table of all of them is faster than hashing
_FEW = 1 << 20


def distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values, (K,) int64 ascending, of an array of int64."""
    flat = values.reshape(-1)
    if not flat.size:
        return flat
    low, width = _range(flat)
    if width > _GAPS * flat.size + _FEW:
        return np.sort(pyarrow.compute.unique(pyarrow.array(flat)).to_numpy())
    seen = np.zeros(width, dtype=bool)
    for row in np.atleast_2d(values):
        seen[row - low] = True
    return np.flatnonzero(seen) + low


def places(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The place in `ids`, (K,) ascending, of each value, int64 in the shape of `values`.

    Every value is one of `ids`.
    """
    if not values.size:
        return values
    out = np.empty(values.shape, dtype=np.int64)
    low, width = int(ids[0]), int(ids[-1]) - int(ids[0]) + 1
    if width > _GAPS * values.size + _FEW:
        known = pyarrow.array(ids)
        for row, to in zip(np.atleast_2d(values), np.atleast_2d(out), strict=True):
            to[:] = pyarrow.compute.index_in(pyarrow.array(row), known).to_numpy()
        return out
    place = np.zeros(width, dtype=np.int32)
    place[ids - low] = np.arange(len(ids), dtype=np.int32)
    for row, to in zip(np.atleast_2d(values), np.atleast_2d(out), strict=True):
        to[:] = place[row - low]
    return out


def _range(values: np.ndarray) -> tuple[int, int]:
    low = int(values.min())
    return low, int(values.max()) - low + 1
