"""Compiled: inner products of signatures and of their sums over neighbours, pair by pair."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.prefetch import AHEAD, prefetch_row

_BITS, _ONE = np.uint64(64), np.uint64(1)


@njit(inline="always")
def _mixed(key, number):
    """A step of :func:`runner.ops.hash.mix`."""
    key += uint64(number + 1) * uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> uint64(27))) * uint64(0x94D049BB133111EB)
    return key ^ (key >> uint64(31))


@kernel
def random_signs(begin, end, seed, nodes, first, out):
    """``out[i, j]``: bit ``(first + j) % 64`` of the word of the node and of its place."""
    for i in range(begin, end):
        row = _mixed(uint64(seed), nodes[i])
        for j in range(0, out.shape[1], 64):
            word = _mixed(row, (first + j) // 64)
            for k in range(j, min(j + 64, out.shape[1])):
                out[i, k] = 1 - 2 * ((word >> uint64(k - j)) & _ONE)


@kernel
def products(begin, end, u, v, x, p, q, r, degree, out):
    """<p_u, p_v>, then those with q, then those with r; without columns q or r count as zeros.

    They are added to ``out``, (B, 9), in whose type they are summed.
    """
    zero = out.dtype.type(0)
    for b in range(begin, end):
        if b + AHEAD < end:
            next_u, next_v = u[b + AHEAD], v[b + AHEAD]
            prefetch_row(p, next_u)
            prefetch_row(p, next_v)
            prefetch_row(q, next_u)
            prefetch_row(q, next_v)
            prefetch_row(r, next_u)
            prefetch_row(r, next_v)
        i, j = u[b], v[b]
        total = zero
        for k in range(p.shape[1]):
            total += out.dtype.type(p[i, k]) * out.dtype.type(p[j, k])
        out[b, 0] += total
        if q.shape[1] > 0:
            d, e = out.dtype.type(degree[i]), out.dtype.type(degree[j])
            pq = qp = around = of_i = of_j = zero
            for k in range(p.shape[1]):
                pi, pj = out.dtype.type(p[i, k]), out.dtype.type(p[j, k])
                qi, qj = out.dtype.type(q[i, k]), out.dtype.type(q[j, k])
                pq += pi * qj
                qp += qi * pj
                around += (qi - d * out.dtype.type(x[i, k])) * (qj - e * out.dtype.type(x[j, k]))
                of_i += pi * qi
                of_j += pj * qj
            out[b, 1] += pq
            out[b, 2] += qp
            out[b, 3] += around
            out[b, 4] += of_i
            out[b, 5] += of_j
        if r.shape[1] > 0:
            pr = rp = rr = zero
            for k in range(p.shape[1]):
                pi, pj = out.dtype.type(p[i, k]), out.dtype.type(p[j, k])
                ri, rj = out.dtype.type(r[i, k]), out.dtype.type(r[j, k])
                pr += pi * rj
                rp += ri * pj
                rr += ri * rj
            out[b, 6] += pr
            out[b, 7] += rp
            out[b, 8] += rr
