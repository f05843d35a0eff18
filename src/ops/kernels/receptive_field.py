"""Compiled: list the rows of some nodes, or a sample of them, and mark the nodes in them."""

from __future__ import annotations

import numpy as np
from numba import uint32, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.hash import place_bits, row_key


@kernel
def count_listed(begin, end, rowptr, kept, nodes, counts):
    """``kept`` holds nothing, or whether each entry of the graph counts."""
    for i in range(begin, end):
        first, last = rowptr[nodes[i]], rowptr[nodes[i] + 1]
        count = last - first
        if kept.shape[0] > 0:
            count = 0
            for e in range(first, last):
                count += kept[e]
        counts[i] = count


@kernel
def copy_listed(begin, end, rowptr, col, kept, nodes, new_rowptr, out):
    every = kept.shape[0] == 0
    for i in range(begin, end):
        place = new_rowptr[i]
        for e in range(rowptr[nodes[i]], rowptr[nodes[i] + 1]):
            if every or kept[e]:
                out[place] = col[e]
                place += 1


@kernel
def sample_listed(begin, end, rowptr, col, kept, nodes, counts, new_rowptr, k, seed, out):
    """k entries of every row that has more, without replacement (Bentley and Floyd 1987)."""
    every = kept.shape[0] == 0
    chosen = np.empty(k, np.int64)
    for i in range(begin, end):
        place, n = new_rowptr[i], counts[i]
        first, last = rowptr[nodes[i]], rowptr[nodes[i] + 1]
        if n > k:
            key = row_key(seed, nodes[i])
            low, high = uint32(key), uint32(key >> uint64(32))
            for m in range(k):
                largest = n - k + m
                drawn = uint64(place_bits(low, high, largest)) * uint64(largest + 1)
                number = np.int64(drawn >> uint64(32))
                for before in range(m):
                    if chosen[before] == number:
                        number = largest
                        break
                chosen[m] = number
            chosen.sort()
        seen = taken = 0
        for e in range(first, last):
            if every or kept[e]:
                if n <= k or (taken < k and seen == chosen[taken]):
                    out[place + taken] = col[e]
                    taken += 1
                seen += 1


@kernel
def mark(nodes, seen):
    for i in range(nodes.shape[0]):
        seen[nodes[i]] = True
