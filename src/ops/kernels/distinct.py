"""Compiled: number the distinct pairs of nodes, those of a first node together."""

from __future__ import annotations

import numpy as np

from runner.ops.kernels.compile import kernel


@kernel
def count_distinct(begin, end, rowptr, entry, second, counts):
    """Distinct second nodes of the entries of every first node."""
    seen = np.full(rowptr.shape[0], -1, dtype=np.int64)
    for u in range(begin, end):
        count = 0
        for e in range(rowptr[u], rowptr[u + 1]):
            v = second[entry[e]]
            if seen[v] != u:
                seen[v] = u
                count += 1
        counts[u] = count


@kernel
def number_distinct(begin, end, rowptr, entry, second, first_number, distinct, number):
    """The distinct pairs, and which of them every entry is."""
    seen = np.full(rowptr.shape[0], -1, dtype=np.int64)
    place = np.empty(rowptr.shape[0], dtype=np.int64)
    for u in range(begin, end):
        free = first_number[u]
        for e in range(rowptr[u], rowptr[u + 1]):
            v = second[entry[e]]
            if seen[v] != u:
                seen[v], place[v] = u, free
                distinct[0, free], distinct[1, free] = u, v
                free += 1
            number[entry[e]] = place[v]
