"""Compiled: the subgraph around each of some pairs, with the labels of its nodes."""

from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.hash import row_key

_UNSEEN, _LEFT_OUT = -1, -2


@kernel
def enclose(begin, end, rowptr, col, u, v, ids, hops, ratio, most, seed):
    """Breadth first from both ends of each pair; then its rows, then distances in them.

    Args:
        ids: (N,) int64, what chance calls the nodes; empty for their numbers.

    Returns:
        How many nodes each pair has, (end - begin,) int64; these nodes, ascending for each pair,
        their labels and how many entries they have; and the columns of these entries, counted from
        the first node of this range. All int64.
    """
    num_nodes = rowptr.size - 1
    place = np.full(num_nodes, _UNSEEN, np.int64)
    inside, touched = np.empty(num_nodes, np.int64), np.empty(num_nodes, np.int64)
    sizes = np.empty(end - begin, np.int64)
    nodes, labels, counts = (
        np.empty(1024, np.int64),
        np.empty(1024, np.int64),
        np.empty(1024, np.int64),
    )
    columns = np.empty(4096, np.int64)
    size = entries = 0
    for at in range(begin, end):
        ends = 2 if u[at] != v[at] else 1
        inside[0] = touched[0] = u[at]
        inside[ends - 1] = touched[ends - 1] = v[at]
        place[u[at]] = place[v[at]] = 0
        first, last, reached = 0, ends, ends
        for _ in range(hops):
            before = reached
            for i in range(first, last):
                for e in range(rowptr[inside[i]], rowptr[inside[i] + 1]):
                    if place[col[e]] == _UNSEEN:
                        place[col[e]] = _LEFT_OUT
                        touched[reached] = col[e]
                        reached += 1
            first = last
            last = _choose(
                touched[before:reached], inside, last, u[at], v[at], ids, ratio, most, seed
            )
            if last == first:
                break
        inside[:last].sort()
        for i in range(last):
            place[inside[i]] = i
        nodes, labels = _grown(nodes, size, size + last), _grown(labels, size, size + last)
        counts = _grown(counts, size, size + last)
        start = entries
        for i in range(last):
            w = inside[i]
            columns = _grown(columns, entries, entries + rowptr[w + 1] - rowptr[w])
            begun = entries
            for e in range(rowptr[w], rowptr[w + 1]):
                x = col[e]
                is_target = (w == u[at] and x == v[at]) or (w == v[at] and x == u[at])
                if place[x] >= 0 and not is_target:
                    columns[entries] = size + place[x]
                    entries += 1
            nodes[size + i], counts[size + i] = w, entries - begun
        _label(
            columns[start:entries] - size, counts[size : size + last], place[u[at]], place[v[at]],
            labels[size : size + last],
        )  # fmt: skip
        for i in range(reached):
            place[touched[i]] = _UNSEEN
        sizes[at - begin] = last
        size += last
    return (
        sizes,
        nodes[:size].copy(),
        labels[:size].copy(),
        counts[:size].copy(),
        columns[:entries].copy(),
    )


@njit(nogil=True)
def _choose(found, inside, last, u, v, ids, ratio, most, seed):
    """Append those of the found nodes that stay to ``inside[last:]``; return where they end."""
    count = min(int64(ratio * found.size), most)
    if count >= found.size:
        inside[last : last + found.size] = found
        return last + found.size
    if count == 0:
        return last
    named = ids.size > 0
    one, other = (ids[u], ids[v]) if named else (u, v)
    key = row_key(row_key(uint64(seed), min(one, other)), max(one, other))
    bits = np.empty(found.size, np.int64)
    for i in range(found.size):
        w = ids[found[i]] if named else int64(found[i])
        bits[i] = int64(row_key(key, w) >> uint64(11))
    limit = np.sort(bits)[count - 1]
    for i in range(found.size):
        if bits[i] <= limit:
            inside[last] = found[i]
            last += 1
    return last


@njit(nogil=True)
def _label(columns, counts, u, v, labels):
    """Double-radius labels: of the distance to u without v, and of that to v without u."""
    starts = np.zeros(counts.size + 1, np.int64)
    starts[1:] = np.cumsum(counts)
    to_u, to_v = _distances(columns, starts, u, v), _distances(columns, starts, v, u)
    for i in range(counts.size):
        if i in (u, v):
            labels[i] = 1
        elif to_u[i] < 0 or to_v[i] < 0:
            labels[i] = 0
        else:
            half, odd = divmod(to_u[i] + to_v[i], 2)
            labels[i] = 1 + min(to_u[i], to_v[i]) + half * (half + odd - 1)


@njit(nogil=True)
def _distances(columns, starts, source, without):
    distance, queue = np.full(starts.size - 1, -1, np.int64), np.empty(starts.size - 1, np.int64)
    distance[source], queue[0] = 0, source
    first, last = 0, 1
    while first < last:
        w = queue[first]
        first += 1
        for e in range(starts[w], starts[w + 1]):
            x = columns[e]
            if distance[x] < 0 and x != without:
                distance[x] = distance[w] + 1
                queue[last] = x
                last += 1
    return distance


@njit(nogil=True)
def _grown(array, used, needed):
    if needed <= array.size:
        return array
    larger = np.empty(max(2 * array.size, needed), array.dtype)
    larger[:used] = array[:used]
    return larger
