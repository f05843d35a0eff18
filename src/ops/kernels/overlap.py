"""Compiled: merge the sorted rows of two nodes."""

from __future__ import annotations

from numba import njit

_SKEWED = 16  # times as many neighbours, from which on searching beats merging


@njit(nogil=True, inline="always")
def _lower_bound(col, low, high, node):
    """First place from ``low`` to ``high`` whose node is not below ``node``."""
    while low < high:
        middle = (low + high) >> 1
        if col[middle] < node:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True)
def count_common(begin, end, rowptr, col, u, v, counts):
    for b in range(begin, end):
        i, i_end, j, j_end = rowptr[u[b]], rowptr[u[b] + 1], rowptr[v[b]], rowptr[v[b] + 1]
        if i_end - i > j_end - j:
            i, i_end, j, j_end = j, j_end, i, i_end
        count = 0
        if j_end - j > _SKEWED * (i_end - i):
            while i < i_end and j < j_end:
                j = _lower_bound(col, j, j_end, col[i])
                count += j < j_end and col[j] == col[i]
                i += 1
        else:
            while i < i_end and j < j_end:
                left, right = col[i], col[j]
                count += left == right
                i += left <= right
                j += right <= left
        counts[b] = count


@njit(nogil=True, cache=True)
def list_common(begin, end, rowptr, col, u, v, common_rowptr, common):
    for b in range(begin, end):
        place, full = common_rowptr[b], common_rowptr[b + 1]
        i, i_end, j, j_end = rowptr[u[b]], rowptr[u[b] + 1], rowptr[v[b]], rowptr[v[b] + 1]
        if i_end - i > j_end - j:
            i, i_end, j, j_end = j, j_end, i, i_end
        if j_end - j > _SKEWED * (i_end - i):
            while place < full:
                j = _lower_bound(col, j, j_end, col[i])
                if j < j_end and col[j] == col[i]:
                    common[place] = col[i]
                    place += 1
                i += 1
        else:
            while place < full:
                left, right = col[i], col[j]
                common[place] = left
                place += left == right
                i += left <= right
                j += right <= left


@njit(nogil=True, cache=True)
def list_neighbourhoods(
    begin, end, rowptr, col, u, v, common_rowptr, u_rowptr, v_rowptr, common, only_u, only_v
):
    for b in range(begin, end):
        c, a, o = common_rowptr[b], u_rowptr[b], v_rowptr[b]
        i, i_end, j, j_end = rowptr[u[b]], rowptr[u[b] + 1], rowptr[v[b]], rowptr[v[b] + 1]
        while i < i_end and j < j_end:
            left, right = col[i], col[j]
            if left < right:
                only_u[a] = left
                a += 1
                i += 1
            elif right < left:
                only_v[o] = right
                o += 1
                j += 1
            else:
                common[c] = left
                c += 1
                i += 1
                j += 1
        while i < i_end:
            only_u[a] = col[i]
            a += 1
            i += 1
        while j < j_end:
            only_v[o] = col[j]
            o += 1
            j += 1
