"""Compiled: how the neighbours of one node are reached from another."""

from __future__ import annotations

from numba import int64, njit, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.marks import mark, no_marks, unmark
from runner.ops.kernels.prefetch import AHEAD, prefetch
from runner.ops.kernels.search import lower_bound

_SKEWED = 32  # times as many neighbours, from which on searching them beats reading them


@kernel
def reach_neighbours(begin, end, rowptr, col, u, v, place, count, shared, walks):
    """Of each neighbour w of ``u[b]``, whether it is one of ``v[b]``, and walks of two steps to it.

    Args:
        place: where the entries of each pair begin in the outputs.
        count: all walks; else whether there is one.
        shared, walks: written from ``place[b]`` on.
    """
    marks, current = no_marks(rowptr.shape[0]), -1
    for b in range(begin, end):
        i, i_end = rowptr[u[b]], rowptr[u[b] + 1]
        if v[b] != current:
            if current >= 0:
                unmark(rowptr[current], rowptr[current + 1], col, marks)
            current = v[b]
            mark(rowptr[current], rowptr[current + 1], col, marks)
        j, j_end = rowptr[current], rowptr[current + 1]
        for e in range(i, i_end):
            ahead = col[min(e + AHEAD, i_end - 1)]
            prefetch(rowptr, ahead)
            prefetch(col, rowptr[col[min(e + AHEAD // 2, i_end - 1)]])
            w = col[e]
            k, k_end = rowptr[w], rowptr[w + 1]
            if k_end - k > _SKEWED * (j_end - j):
                found = _search(j, j_end, k, k_end, col, count)
            else:
                found = _read(k, k_end, col, marks, count)
            at = place[b] + e - i
            shared[at] = _marked(w, marks) > 0
            walks[at] = found


@njit(nogil=True, inline="always")
def _marked(w, marks):
    return int64((marks[uint64(w) >> uint64(6)] >> (uint64(w) & uint64(63))) & uint64(1))


@njit(nogil=True)
def _read(k, k_end, col, marks, count):
    found = 0
    for e in range(k, k_end):
        found += _marked(col[e], marks)
        if found and not count:
            break
    return found


@njit(nogil=True)
def _search(j, j_end, k, k_end, col, count):
    found = 0
    for e in range(j, j_end):
        k = lower_bound(col, k, k_end, col[e])
        found += k < k_end and col[k] == col[e]
        if k == k_end or (found and not count):
            break
    return found
