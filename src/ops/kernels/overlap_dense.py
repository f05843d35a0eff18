"""Compiled: sum over the common neighbours of pairs where nodes have many neighbours."""

from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.lanes import count_bits
from runner.ops.kernels.marks import list_marked, mark, no_marks, unmark

_NEAR = 2**20  # bytes: what of a second-level cache a copy of rows may take


@njit(nogil=True)
def _copy_together(begin, end, col, x, marks, before, near):
    """Rows of the nodes from ``begin`` to ``end``; the number of them before each word of marks."""
    for e in range(begin, end):
        w = col[e]
        for j in range(x.shape[1]):
            near[e - begin, j] = x[w, j]
    count = 0
    for word in range(marks.shape[0]):
        before[word] = count
        count += int64(count_bits(marks[word]))


@njit(nogil=True)
def _place_in_copy(count, marks, before, hits):
    for k in range(count):
        word, bit = hits[k] >> 6, uint64(hits[k] & 63)
        lower = marks[word] & ((uint64(1) << bit) - uint64(1))
        hits[k] = before[word] + int64(count_bits(lower))


@njit(nogil=True)
def _add_rows(x, rows, count, start, total):
    for j in range(x.shape[1]):
        total[j] = start[j]
    fours = count - count % 4
    for k in range(0, fours, 4):
        p, q, r, s = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        for j in range(x.shape[1]):
            total[j] += (x[p, j] + x[q, j]) + (x[r, j] + x[s, j])
    for k in range(fours, count):
        w = rows[k]
        for j in range(x.shape[1]):
            total[j] += x[w, j]


@kernel
def sum_common_dense(begin, end, rowptr, col, u, v, x, start, out, counts):
    """As ``sum_common``, for graphs of many neighbours a node, where the additions take the time.

    Of pairs in a row with the same first node, the rows of its neighbours are copied into the
    second-level cache, if they are not too many.
    """
    most = longest = 0
    for b in range(begin, end):
        degree = rowptr[u[b] + 1] - rowptr[u[b]]
        longest = max(longest, degree, rowptr[v[b] + 1] - rowptr[v[b]])
        if degree * x.shape[1] * x.itemsize <= _NEAR:
            most = max(most, degree)
    near, hits = np.empty((most, x.shape[1]), x.dtype), np.empty(longest + 1, dtype=np.int64)
    marks = no_marks(rowptr.shape[0])
    before = np.empty(marks.shape[0], dtype=np.int64)
    b = begin
    while b < end:
        first, first_pair = u[b], b
        i, i_end = rowptr[first], rowptr[first + 1]
        mark(i, i_end, col, marks)
        copied = False
        while b < end and u[b] == first:
            count = int64(list_marked(rowptr[v[b]], rowptr[v[b] + 1], col, marks, hits, uint64(0)))
            if not copied and b > first_pair and i_end - i <= most:
                copied = True
                _copy_together(i, i_end, col, x, marks, before, near)
            if copied:
                _place_in_copy(count, marks, before, hits)
                _add_rows(near, hits, count, start, out[b])
            else:
                _add_rows(x, hits, count, start, out[b])
            counts[b] = count
            b += 1
        unmark(i, i_end, col, marks)
