"""Rows of a graph, fetched ahead, and their blocks of sixteen entries.

Indices are unsigned, so that none is taken for one from the end.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from runner.ops.kernels.lanes import LANES
from runner.ops.kernels.prefetch import AHEAD, LINE, prefetch

BLOCK, ONE = np.uint64(LANES), np.uint64(1)


@njit(nogil=True, inline="always")
def row(rowptr, node):
    """Where it begins and ends."""
    return uint64(rowptr[uint64(node)]), uint64(rowptr[uint64(node) + ONE])


@njit(nogil=True, inline="always")
def fetch(b, last, rowptr, col, nodes):
    """Have a row after the one of ``nodes[b]`` on its way, and where a later one begins.

    Without a branch: around one, Numba counts the references to the arrays, which takes ten times
    as long as this.
    """
    prefetch(rowptr, nodes[min(b + uint64(2 * AHEAD), last)])
    i, i_end = row(rowptr, nodes[min(b + uint64(AHEAD), last)])
    line = uint64(LINE // col.itemsize)
    prefetch(col, i)  # four lines; the processor itself fetches what follows
    prefetch(col, min(i + line, i_end))
    prefetch(col, min(i + uint64(2) * line, i_end))
    prefetch(col, min(i + uint64(3) * line, i_end))


@njit(nogil=True, inline="always")
def count_blocks(i, i_end):
    """Of the row from ``i`` to ``i_end``; the last may not be full."""
    return (i_end - i + BLOCK - ONE) // BLOCK


@njit(nogil=True, inline="always")
def last_id(col, i, i_end):
    """Of the block at ``i``. Any where the row has ended, which is within ``col`` all the same."""
    return col[max(min(i + BLOCK, i_end), ONE) - ONE]
