"""Compiled: the ends of short walks, and how many lead there."""

from __future__ import annotations

import numpy as np
from numba import njit

from runner.ops.kernels.compile import kernel

_FEW = 8  # a share of all nodes, from which on sorting those reached is slower than a scan


@kernel
def short_walks(begin, end, rowptr, col, starts):
    """Of each start the ends of walks of one and two steps.

    Returns:
        How many ends each start has, (end - begin,) int64; these nodes, ascending for each start,
        of the type of ``col``; and for each twice the number of walks of two steps, and 1 more for
        a neighbour, int64.
    """
    num_nodes = rowptr.size - 1
    found = np.zeros(num_nodes, np.int64)
    touched = np.empty(num_nodes, np.int64)
    counts = np.empty(end - begin, np.int64)
    nodes, values, size = np.empty(1024, col.dtype), np.empty(1024, np.int64), 0
    for at in range(begin, end):
        u, reached = starts[at], 0
        for entry in range(rowptr[u], rowptr[u + 1]):
            x = col[entry]
            if found[x] == 0:
                touched[reached] = x
                reached += 1
            found[x] += 1
            for further in range(rowptr[x], rowptr[x + 1]):
                w = col[further]
                if found[w] == 0:
                    touched[reached] = w
                    reached += 1
                found[w] += 2
        if size + reached > nodes.size:
            room = max(2 * nodes.size, size + reached)
            nodes, values = _grown(nodes, size, room), _grown(values, size, room)
        if _FEW * reached > num_nodes:
            reached = 0
            for w in range(num_nodes):
                if found[w]:
                    touched[reached] = w
                    reached += 1
        else:
            touched[:reached].sort()
        for i in range(reached):
            w = touched[i]
            nodes[size + i], values[size + i] = w, found[w]
            found[w] = 0
        size += reached
        counts[at - begin] = reached
    return counts, nodes[:size].copy(), values[:size].copy()


@njit(nogil=True)
def _grown(given, size, room):
    larger = np.empty(room, given.dtype)
    larger[:size] = given[:size]
    return larger
