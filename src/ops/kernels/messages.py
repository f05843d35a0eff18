"""Compiled: sums over ragged lists of messages that bend at zero, see `ops.messages`.

The slope below zero is 0 for a ReLU, 1 for no activation. Lines of the row that is worked on stand
apart: for all that the compiler knows, writing to one matrix could change the others.
"""

from __future__ import annotations

import numpy as np

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.prefetch import AHEAD, prefetch_row


@kernel
def pool_bent(begin, end, query, key, rowptr, node, weight, scale, slope, one, out, slopes):
    """``slopes`` holds nothing, or what a list's messages change by with its query."""
    weighted, scaled, traced = weight.shape[0] > 0, scale.shape[0] > 0, slopes.shape[0] > 0
    width = key.shape[1]
    own, total, change = np.empty((3, width), key.dtype)
    for b in range(begin, end):
        for j in range(width):
            own[j] = query[b, j]
            total[j] = change[j] = 0
        for e in range(rowptr[b], rowptr[b + 1]):
            if e + AHEAD < node.shape[0]:
                prefetch_row(key, node[e + AHEAD])
            w = node[e]
            factor = weight[e] if weighted else one
            if scaled:
                factor *= scale[w]
            if traced:
                for j in range(width):
                    value = own[j] + key[w, j]
                    bent = factor if value > 0 else factor * slope
                    total[j] += bent * value
                    change[j] += bent
            else:
                for j in range(width):
                    value = own[j] + key[w, j]
                    total[j] += (factor if value > 0 else factor * slope) * value
        for j in range(width):
            out[b, j] = total[j]
        if traced:
            for j in range(width):
                slopes[b, j] = change[j]


@kernel
def pool_bent_gradient(begin, end, grad, query, key, rowptr, lists, weight, slope, one, grad_key):
    """Of keys; ``lists`` holds those that each of them is in."""
    weighted = weight.shape[0] > 0
    width = key.shape[1]
    own, total = np.empty((2, width), key.dtype)
    for w in range(begin, end):
        for j in range(width):
            own[j] = key[w, j]
            total[j] = 0
        for e in range(rowptr[w], rowptr[w + 1]):
            if e + AHEAD < lists.shape[0]:
                prefetch_row(query, lists[e + AHEAD])
                prefetch_row(grad, lists[e + AHEAD])
            b = lists[e]
            factor = weight[e] if weighted else one
            for j in range(width):
                bent = factor if query[b, j] + own[j] > 0 else factor * slope
                total[j] += bent * grad[b, j]
        for j in range(width):
            grad_key[w, j] = total[j]
