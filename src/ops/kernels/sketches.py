"""Compiled: sketches of the sets of nodes around each node, and what two of them tell."""

from __future__ import annotations

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.prefetch import AHEAD, prefetch_row


@kernel
def spread(begin, end, rowptr, col, values, out):
    """The largest of each column, over a node and its neighbours."""
    for u in range(begin, end):
        for j in range(values.shape[1]):
            out[u, j] = values[u, j]
        for e in range(rowptr[u], rowptr[u + 1]):
            if e + AHEAD < col.shape[0]:
                prefetch_row(values, col[e + AHEAD])
            w = col[e]
            for j in range(values.shape[1]):
                out[u, j] = max(out[u, j], values[w, j])


@kernel
def compare(begin, end, minhash, registers, u, v, power, equal, total, empty):
    """Of the sketches of each pair, every hop with every hop.

    Args:
        power: 2^-r of each value r of a register.
        equal: (B, K, K), filled: equal minima.
        total, empty: (B, K, K), filled: of the union's registers the sum of powers, and zeros.
    """
    hops = minhash.shape[0]
    for b in range(begin, end):
        for i in range(hops):
            for j in range(hops):
                one, other = minhash[i, u[b]], minhash[j, v[b]]
                count = 0
                for k in range(one.shape[0]):
                    count += one[k] == other[k]
                equal[b, i, j] = count
                left, right = registers[i, u[b]], registers[j, v[b]]
                powers, zeros = power[0] - power[0], 0
                for k in range(left.shape[0]):
                    r = max(left[k], right[k])
                    powers += power[r]
                    zeros += r == 0
                total[b, i, j] = powers
                empty[b, i, j] = zeros
