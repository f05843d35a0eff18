"""A set of nodes, a bit each: for some hundred thousand it stays in the first-level cache."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

_SHIFT, _BIT, _ONE = np.uint64(6), np.uint64(63), np.uint64(1)  # of words of 64 bits


@njit(nogil=True)
def no_marks(num_nodes):
    return np.zeros((num_nodes + 63) // 64, dtype=np.uint64)


@njit(nogil=True)
def mark(begin, end, col, marks):
    """The nodes of these entries."""
    for e in range(begin, end):
        marks[uint64(col[e]) >> _SHIFT] |= _ONE << (uint64(col[e]) & _BIT)


@njit(nogil=True)
def unmark(begin, end, col, marks):
    """All that were marked, if these are all."""
    for e in range(begin, end):
        marks[uint64(col[e]) >> _SHIFT] = 0


@njit(nogil=True)
def list_marked(begin, end, col, marks, out, at):
    """Write the marked nodes of these entries to ``out[at:]``; return where they end.

    Every node is written, and stays where it is marked, since no processor foresees which are: so
    there is room for one more.
    """
    for e in range(begin, end):
        w = uint64(col[e])
        out[at] = w
        at += (marks[w >> _SHIFT] >> (w & _BIT)) & _ONE
    return at
