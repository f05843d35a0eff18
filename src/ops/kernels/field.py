"""Compiled: list the rows of some nodes, and mark the nodes in them."""

from __future__ import annotations

from ops.kernels.compile import kernel


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
def mark(nodes, seen):
    for i in range(nodes.shape[0]):
        seen[nodes[i]] = True
