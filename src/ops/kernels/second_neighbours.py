"""Compiled: list the nodes at distance two."""

from __future__ import annotations

import numpy as np
from numba import njit

from runner.ops.kernels.compile import kernel


@kernel
def count_second(begin, end, rowptr, col, wanted, counts):
    seen = np.full(rowptr.shape[0] - 1, -1, dtype=np.int64)
    for u in range(begin, end):
        counts[u] = _visit(u, rowptr, col, seen, col, -1) if wanted[u] else 0


@kernel
def list_second(begin, end, rowptr, col, wanted, second_rowptr, second):
    seen = np.full(rowptr.shape[0] - 1, -1, dtype=np.int64)
    for u in range(begin, end):
        if wanted[u]:
            first = second_rowptr[u]
            _visit(u, rowptr, col, seen, second, first)
            second[first : second_rowptr[u + 1]].sort()


@njit(nogil=True)
def _visit(u, rowptr, col, seen, out, at):
    """How many nodes lie two steps from ``u``; written to ``out[at:]`` unless ``at`` is below 0."""
    seen[u] = u
    for e in range(rowptr[u], rowptr[u + 1]):
        seen[col[e]] = u
    count = 0
    for e in range(rowptr[u], rowptr[u + 1]):
        w = col[e]
        for f in range(rowptr[w], rowptr[w + 1]):
            x = col[f]
            if seen[x] != u:
                seen[x] = u
                if at >= 0:
                    out[at + count] = x
                count += 1
    return count
