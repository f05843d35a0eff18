"""Compiled: build a graph's rows, look entries up in them, and keep some of them."""

from __future__ import annotations

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.prefetch import AHEAD, prefetch
from runner.ops.kernels.search import lower_bound


@kernel
def count_partners(first, last, edges, counts):
    """Of the nodes ``first`` to ``last``; self-loops are none."""
    for e in range(edges.shape[1]):
        u, v = edges[0, e], edges[1, e]
        if u != v:
            if first <= u < last:
                counts[u] += 1
            if first <= v < last:
                counts[v] += 1


@kernel
def list_partners(first, last, edges, free, partner):
    """Those of the nodes ``first`` to ``last``; ``free`` holds the next free place of each."""
    for e in range(edges.shape[1]):
        u, v = edges[0, e], edges[1, e]
        if u != v:
            if first <= u < last:
                partner[free[u]] = v
                free[u] += 1
            if first <= v < last:
                partner[free[v]] = u
                free[v] += 1


@kernel
def count_distinct(begin, end, rowptr, col, counts):
    for u in range(begin, end):
        count = 0
        for e in range(rowptr[u], rowptr[u + 1]):
            count += e == rowptr[u] or col[e] != col[e - 1]
        counts[u] = count


@kernel
def copy_distinct(begin, end, rowptr, col, new_rowptr, new_col):
    for u in range(begin, end):
        place = new_rowptr[u]
        for e in range(rowptr[u], rowptr[u + 1]):
            if e == rowptr[u] or col[e] != col[e - 1]:
                new_col[place] = col[e]
                place += 1


@kernel
def find(begin, end, rowptr, col, u, v, position):
    for b in range(begin, end):
        if b + 2 * AHEAD < end:
            prefetch(rowptr, u[b + 2 * AHEAD])
        if b + AHEAD < end:  # the middle of a row is compared first
            soon = u[b + AHEAD]
            prefetch(col, (rowptr[soon] + rowptr[soon + 1]) >> 1)
        end_of_row = rowptr[u[b] + 1]
        place = lower_bound(col, rowptr[u[b]], end_of_row, v[b])
        position[b] = place if place < end_of_row and col[place] == v[b] else -1


@kernel
def count_kept(begin, end, rowptr, mask, counts):
    for u in range(begin, end):
        count = 0
        for e in range(rowptr[u], rowptr[u + 1]):
            count += mask[e]
        counts[u] = count


@kernel
def copy_kept(begin, end, rowptr, col, mask, new_rowptr, new_col):
    for u in range(begin, end):
        place = new_rowptr[u]
        for e in range(rowptr[u], rowptr[u + 1]):
            if mask[e]:
                new_col[place] = col[e]
                place += 1
