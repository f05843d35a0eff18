"""Compiled: sums of the rows of a matrix over ragged lists, and products of pairs of rows.

Which row it is, and a factor of all of it, are read before the loop over its columns: for all that
the compiler knows, what the loop writes could change them, and then it is not vectorised.
"""

from __future__ import annotations

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.prefetch import AHEAD, prefetch_row


@kernel
def pool_sum(begin, end, x, rowptr, node, weight, out):
    """``weight`` holds nothing, or a factor an entry."""
    weighted = weight.shape[0] > 0
    for b in range(begin, end):
        for j in range(x.shape[1]):
            out[b, j] = 0
        for e in range(rowptr[b], rowptr[b + 1]):
            if e + AHEAD < node.shape[0]:
                prefetch_row(x, node[e + AHEAD])
            w = node[e]
            factor = weight[e] if weighted else x.dtype.type(1)
            for j in range(x.shape[1]):
                out[b, j] += factor * x[w, j]


@kernel
def propagate(begin, end, x, rowptr, col, weight, scale, out):
    """Of nodes: themselves and their neighbours, each scaled, summed and scaled again."""
    weighted = weight.shape[0] > 0
    for u in range(begin, end):
        own = scale[u]
        for j in range(x.shape[1]):
            out[u, j] = own * x[u, j]
        for e in range(rowptr[u], rowptr[u + 1]):
            if e + AHEAD < col.shape[0]:
                prefetch_row(x, col[e + AHEAD])
            w = col[e]
            factor = scale[w] * weight[e] if weighted else scale[w]
            for j in range(x.shape[1]):
                out[u, j] += factor * x[w, j]
        for j in range(x.shape[1]):
            out[u, j] *= own


@kernel
def weight_gradient(begin, end, grad, x, rowptr, node, grad_weight, zero):
    for b in range(begin, end):
        for e in range(rowptr[b], rowptr[b + 1]):
            if e + AHEAD < node.shape[0]:
                prefetch_row(x, node[e + AHEAD])
            w = node[e]
            total = zero
            for j in range(x.shape[1]):
                total += grad[b, j] * x[w, j]
            grad_weight[e] = total


@kernel
def product(begin, end, x, u, v, out):
    for b in range(begin, end):
        if b + AHEAD < end:
            prefetch_row(x, u[b + AHEAD])
            prefetch_row(x, v[b + AHEAD])
        p, q = u[b], v[b]
        for j in range(x.shape[1]):
            out[b, j] = x[p, j] * x[q, j]


@kernel
def product_gradient(begin, end, grad, x, pairs, rowptr, entry, grad_x):
    """Of nodes; ``entry`` holds where each of them stands among the 2 B endpoints."""
    count = pairs.shape[1]
    for w in range(begin, end):
        for j in range(x.shape[1]):
            grad_x[w, j] = 0
        for e in range(rowptr[w], rowptr[w + 1]):
            if e + AHEAD < entry.shape[0]:
                side, b = divmod(entry[e + AHEAD], count)
                prefetch_row(grad, b)
                prefetch_row(x, pairs[1 - side, b])
            side, b = divmod(entry[e], count)
            other = pairs[1 - side, b]
            for j in range(x.shape[1]):
                grad_x[w, j] += grad[b, j] * x[other, j]


@kernel
def count_nodes(node, counts):
    for e in range(node.shape[0]):
        counts[node[e]] += 1


@kernel
def list_by_node(first, last, rowptr, node, weight, free, target, target_weight):
    """The lists each of the nodes ``first`` to ``last`` is in, ascending.

    ``free`` holds the next free place of every node, ``weight`` nothing or a factor an entry.
    """
    weighted = weight.shape[0] > 0
    for b in range(rowptr.shape[0] - 1):
        for e in range(rowptr[b], rowptr[b + 1]):
            w = node[e]
            if first <= w < last:
                place = free[w]
                free[w] = place + 1
                target[place] = b
                if weighted:
                    target_weight[place] = weight[e]
