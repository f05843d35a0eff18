"""Compiled: personalised PageRank by push."""

from __future__ import annotations

import numpy as np

from runner.ops.kernels.compile import kernel


@kernel
def push(begin, end, rowptr, col, starts, damping, epsilon):
    """Push from each of some starts until no node keeps back more than ``epsilon`` a neighbour.

    Nodes wait in a ring, each at most once, and are served in the order in which they came.

    Returns:
        How many nodes each start reaches, (end - begin,) int64; these nodes, ascending for each
        start, int64; and their estimates, float64.
    """
    num_nodes = rowptr.size - 1
    residual, estimate = np.zeros(num_nodes), np.zeros(num_nodes)
    waits, seen = np.zeros(num_nodes, np.bool_), np.zeros(num_nodes, np.bool_)
    ring, touched = np.empty(num_nodes, np.int64), np.empty(num_nodes, np.int64)
    counts = np.empty(end - begin, np.int64)
    nodes, values, size = np.empty(1024, np.int64), np.empty(1024), 0
    for at in range(begin, end):
        start = starts[at]
        residual[start], seen[start], waits[start] = 1.0, True, True
        ring[0], touched[0] = start, start
        first, length, reached = 0, 1, 1
        while length:
            u = ring[first]
            first = first + 1 if first + 1 < num_nodes else 0
            length -= 1
            waits[u] = False
            degree = rowptr[u + 1] - rowptr[u]
            mass, residual[u] = residual[u], 0.0
            if degree == 0:  # the start itself, which no step leaves
                estimate[u] += mass
                continue
            estimate[u] += (1.0 - damping) * mass
            share = damping * mass / degree
            for entry in range(rowptr[u], rowptr[u + 1]):
                v = col[entry]
                residual[v] += share
                if not seen[v]:
                    seen[v] = True
                    touched[reached] = v
                    reached += 1
                if not waits[v] and residual[v] > epsilon * (rowptr[v + 1] - rowptr[v]):
                    waits[v] = True
                    place = first + length
                    ring[place if place < num_nodes else place - num_nodes] = v
                    length += 1
        touched[:reached].sort()
        if size + reached > nodes.size:
            larger = max(2 * nodes.size, size + reached)
            more_nodes, more_values = np.empty(larger, np.int64), np.empty(larger)
            more_nodes[:size], more_values[:size] = nodes[:size], values[:size]
            nodes, values = more_nodes, more_values
        before = size
        for i in range(reached):
            v = touched[i]
            if estimate[v] > 0.0:
                nodes[size], values[size] = v, estimate[v]
                size += 1
            residual[v], estimate[v], seen[v] = 0.0, 0.0, False
        counts[at - begin] = size - before
    return counts, nodes[:size].copy(), values[:size].copy()
