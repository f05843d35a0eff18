"""Compiled: nodes around some nodes, by distance, and how many of them two nodes share."""

from __future__ import annotations

import numpy as np
from numba import njit

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.prefetch import AHEAD, prefetch


@kernel
def list_balls(begin, end, rowptr, col, nodes, hops, sizes):
    """The nodes around each of ``nodes``, nearest first, itself among those at distance 1.

    Args:
        sizes: (n, hops), filled with how many lie within each distance.

    Returns:
        The nodes of all balls, of the type of ``col``.
    """
    num_nodes = rowptr.shape[0] - 1
    distance = np.zeros(num_nodes, np.uint8)
    found, free = np.empty(max(num_nodes, 1024), col.dtype), 0
    for i in range(begin, end):
        if found.shape[0] - free < num_nodes:
            more = np.empty(2 * found.shape[0], col.dtype)
            more[:free] = found[:free]
            found = more
        ball = found[free:]
        free += _mark_ball(rowptr, col, nodes[i], hops, distance, ball, sizes[i])
        _unmark(ball, sizes[i, hops - 1], distance)
    return found[:free].copy()


@kernel
def count_shared(begin, end, rowptr, col, nodes, first, hops, places, ball, sizes, u_sizes, shared):
    """Compare each of ``nodes`` with the balls of its partners.

    Args:
        first: (n + 1,) where the partners of each begin.
        places: (B,) where the ball of each partner begins in ``ball``. sizes: (B, hops) of them.
        u_sizes: (n, hops) of those of ``nodes``, filled.
        shared: (B, hops, hops), filled: nodes at each distance, 1 for 0 too, from both.
    """
    num_nodes = rowptr.shape[0] - 1
    distance = np.zeros(num_nodes, np.uint8)
    near = np.empty(num_nodes, col.dtype)
    for i in range(begin, end):
        _mark_ball(rowptr, col, nodes[i], hops, distance, near, u_sizes[i])
        for b in range(first[i], first[i + 1]):
            start = places[b]
            low = 0
            for j in range(hops):
                high = sizes[b, j]
                one = two = three = 0
                for e in range(start + low, start + high):
                    d = distance[ball[e]]
                    one += d == 1
                    two += d == 2
                    three += d == 3
                shared[b, 0, j] = one
                if hops > 1:
                    shared[b, 1, j] = two
                if hops > 2:
                    shared[b, 2, j] = three
                low = high
        _unmark(near, u_sizes[i, hops - 1], distance)


@njit(nogil=True)
def _mark_ball(rowptr, col, node, hops, distance, ball, sizes):
    """Breadth first; ``distance`` is zero before, and has the nodes of the ball afterwards."""
    ball[0] = node
    distance[node] = 1
    count, low = 1, 0
    for hop in range(1, hops + 1):
        high = count
        for i in range(low, high):
            if i + AHEAD < high:
                prefetch(rowptr, ball[i + AHEAD])
            for e in range(rowptr[ball[i]], rowptr[ball[i] + 1]):
                w = col[e]
                if distance[w] == 0:
                    distance[w] = hop
                    ball[count] = w
                    count += 1
        low = high
        sizes[hop - 1] = count
    return count


@njit(nogil=True)
def _unmark(ball, count, distance):
    for i in range(count):
        distance[ball[i]] = 0
