"""Whole-number ids and their places in ascending order, in time linear in the rows."""

from __future__ import annotations

import numpy as np
import pyarrow
import pyarrow.compute
import torch

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
    seen = torch.zeros(width, dtype=torch.bool)
    for row in np.atleast_2d(values):
        seen.index_fill_(0, torch.from_numpy(row - low if low else row), True)
    return seen.nonzero().view(-1).add_(low).numpy()


def places(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The place in `ids`, (K,) ascending, of each value, int64 in the shape of `values`.

    Every value is one of `ids`.
    """
    if not values.size:
        return values
    out = np.empty(values.shape, dtype=np.int64)
    low, width = _range(ids)
    if width > _GAPS * values.size + _FEW:
        known = pyarrow.array(ids)
        for row, to in zip(np.atleast_2d(values), np.atleast_2d(out), strict=True):
            to[:] = pyarrow.compute.index_in(pyarrow.array(row), known).to_numpy()
        return out
    place = torch.zeros(width, dtype=torch.int64)
    place[torch.from_numpy(ids - low)] = torch.arange(len(ids))
    for row, to in zip(np.atleast_2d(values), np.atleast_2d(out), strict=True):
        index = torch.from_numpy(row - low if low else row)
        torch.index_select(place, 0, index, out=torch.from_numpy(to))
    return out


def _range(values: np.ndarray) -> tuple[int, int]:
    """Where a table of all numbers begins, and its length; from 0 where that is not far."""
    low, high = int(values.min()), int(values.max())
    low = 0 if 0 <= low <= high - low else low
    return low, high - low + 1
