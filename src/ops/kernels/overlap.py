"""Compiled: list the common neighbours of pairs, or sum over them."""

from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.lanes import compress, match
from runner.ops.kernels.marks import list_marked, mark, no_marks, unmark
from runner.ops.kernels.prefetch import AHEAD, prefetch_row
from runner.ops.kernels.rows import BLOCK, fetch, last_id, row
from runner.ops.kernels.search import lower_bound

_SKEWED = 64  # times as many neighbours, from which on searching beats merging
_MARKED = 16  # neighbours that are marked for each one that is looked for among them
_BATCH = 256  # pairs, whose common neighbours are listed before they are added


@kernel
def list_common(begin, end, rowptr, col, u, v, counts):
    """Fill ``counts``; return the common neighbours of all pairs, of the type of ``col``."""
    return _list_common(begin, end, rowptr, col, u, v, counts, _marks(begin, end, rowptr, u))


@njit(nogil=True)
def _list_common(begin, end, rowptr, col, u, v, counts, marks):
    """The same with :func:`_marks`, which are zero before and after.

    Of pairs in a row with the same first node, its neighbours are marked once, where that costs no
    more than searching them.
    """
    room = 1
    for b in range(begin, end):
        room += min(rowptr[u[b] + 1] - rowptr[u[b]], rowptr[v[b] + 1] - rowptr[v[b]])
    common = np.empty(room, col.dtype)
    c, current, marked = uint64(0), -1, False
    for b in range(begin, end):
        fetch(uint64(b), uint64(end - 1), rowptr, col, u)
        fetch(uint64(b), uint64(end - 1), rowptr, col, v)
        first = u[b]
        if first != current:
            if marked:
                unmark(rowptr[current], rowptr[current + 1], col, marks)
            current = first
            marked = b + 1 < end and u[b + 1] == first and _pays(b, end, rowptr, u, v)
            if marked:
                mark(rowptr[first], rowptr[first + 1], col, marks)
        i, i_end = row(rowptr, first)
        j, j_end = row(rowptr, v[b])
        before = c
        if marked and j_end - j <= uint64(_MARKED) * (i_end - i):
            c = list_marked(j, j_end, col, marks, common, c)
        else:
            if i_end - i > j_end - j:
                i, i_end, j, j_end = j, j_end, i, i_end
            if j_end - j > uint64(_SKEWED) * (i_end - i):
                while i < i_end and j < j_end:
                    j = uint64(lower_bound(col, int64(j), int64(j_end), col[i]))
                    if j < j_end:
                        common[c] = col[i]
                        c += uint64(col[j] == col[i])
                    i += uint64(1)
            else:
                while i < i_end and j < j_end:
                    shared, _ = match(col, i, i_end, j, j_end)
                    c += compress(col, i, i_end, shared, common, c)
                    left, right = last_id(col, i, i_end), last_id(col, j, j_end)
                    i += BLOCK * uint64(left <= right)
                    j += BLOCK * uint64(right <= left)
        counts[b] = c - before
    if marked:
        unmark(rowptr[current], rowptr[current + 1], col, marks)
    return common[: int64(c)]


@njit(nogil=True)
def _marks(begin, end, rowptr, u):
    """For the nodes of a graph; for none where no two pairs in a row have the same first node."""
    for b in range(begin, end - 1):
        if u[b] == u[b + 1]:
            return no_marks(rowptr.shape[0])
    return no_marks(0)


@njit(nogil=True)
def _pays(b, end, rowptr, u, v):
    """Whether those looked for among the neighbours of ``u[b]`` are worth marking these all."""
    worth, first = 0, u[b]
    for pair in range(b, end):
        if u[pair] != first:
            return False
        worth += _MARKED * (rowptr[v[pair] + 1] - rowptr[v[pair]])
        if worth >= rowptr[first + 1] - rowptr[first]:
            return True
    return False


@kernel
def sum_common(begin, end, rowptr, col, u, v, x, start, out, counts):
    """Sums of ``x`` over the common neighbours, from ``start`` on, and their number."""
    marks = _marks(begin, end, rowptr, u)
    for batch in range(begin, end, _BATCH):
        batch_end = min(batch + _BATCH, end)
        common = _list_common(batch, batch_end, rowptr, col, u, v, counts, marks)
        e = 0
        for b in range(batch, batch_end):
            for j in range(x.shape[1]):
                out[b, j] = start[j]
            for _ in range(counts[b]):
                if e + AHEAD < common.shape[0]:
                    prefetch_row(x, common[e + AHEAD])
                w = common[e]
                for j in range(x.shape[1]):
                    out[b, j] += x[w, j]
                e += 1
