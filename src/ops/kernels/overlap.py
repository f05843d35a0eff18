"""Compiled: merge the sorted rows of two nodes."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import int64, njit, types, uint8, uint64
from numba.extending import intrinsic

from ops.kernels.compile import kernel
from ops.kernels.prefetch import AHEAD, LINE, prefetch, prefetch_row
from ops.kernels.search import lower_bound

_SKEWED = 16  # times as many neighbours, from which on searching beats merging
_QUEUE = 16  # rows on their way from memory
_FETCHED = 64  # neighbours of a row, at most, that are asked for ahead
_NEAR = 2**20  # bytes: what of a second-level cache a copy of rows may take


@njit(nogil=True, inline="always")
def _fetch(b, end, rowptr, col, u, v):
    """Have the rows of the pairs after ``b`` on their way, and where they begin before that."""
    if b + 2 * AHEAD < end:
        prefetch(rowptr, u[b + 2 * AHEAD])
        prefetch(rowptr, v[b + 2 * AHEAD])
        _fetch_beginning(rowptr, col, u[b + AHEAD])
        _fetch_beginning(rowptr, col, v[b + AHEAD])


@njit(nogil=True, inline="always")
def _fetch_beginning(rowptr, col, node):
    """Of a row; the processor itself fetches what follows."""
    first, last = rowptr[node], rowptr[node + 1]
    for e in range(first, min(last, first + _FETCHED), LINE // col.itemsize):
        prefetch(col, e)
    if last > first:
        prefetch(col, min(last, first + _FETCHED) - 1)


@kernel
def list_common(begin, end, rowptr, col, u, v, counts):
    """Fill ``counts``; return the common neighbours of all pairs, of the type of ``col``.

    Rows are merged without branches that depend on ids, which no processor foresees: every node is
    written, and stays where it was common. Indices are unsigned, so that none is taken for one from
    the end.
    """
    room = 0
    for b in range(begin, end):
        room += min(rowptr[u[b] + 1] - rowptr[u[b]], rowptr[v[b] + 1] - rowptr[v[b]])
    common = np.empty(room, col.dtype)
    c = uint64(0)
    for b in range(begin, end):
        _fetch(b, end, rowptr, col, u, v)
        i, i_end = uint64(rowptr[u[b]]), uint64(rowptr[u[b] + 1])
        j, j_end = uint64(rowptr[v[b]]), uint64(rowptr[v[b] + 1])
        if i_end - i > j_end - j:
            i, i_end, j, j_end = j, j_end, i, i_end
        before = c
        if j_end - j > uint64(_SKEWED) * (i_end - i):
            while i < i_end and j < j_end:
                j = uint64(lower_bound(col, int64(j), int64(j_end), col[i]))
                if j < j_end:
                    common[c] = col[i]
                    c += uint64(col[j] == col[i])
                i += uint64(1)
        else:
            while i < i_end and j < j_end:
                left, right = col[i], col[j]
                common[c] = left
                c += uint64(left == right)
                i += uint64(left <= right)
                j += uint64(right <= left)
        counts[b] = c - before
    return common[: int64(c)]


@kernel
def list_neighbourhoods(begin, end, rowptr, col, u, v, counts, u_counts, v_counts):
    """Fill the counts; return common neighbours, those of u alone, and those of v alone."""
    u_room = v_room = 0
    for b in range(begin, end):
        u_room += rowptr[u[b] + 1] - rowptr[u[b]]
        v_room += rowptr[v[b] + 1] - rowptr[v[b]]
    common = np.empty(min(u_room, v_room), col.dtype)
    only_u, only_v = np.empty(u_room, col.dtype), np.empty(v_room, col.dtype)
    c = a = o = uint64(0)
    for b in range(begin, end):
        _fetch(b, end, rowptr, col, u, v)
        i, i_end = uint64(rowptr[u[b]]), uint64(rowptr[u[b] + 1])
        j, j_end = uint64(rowptr[v[b]]), uint64(rowptr[v[b] + 1])
        before, u_before, v_before = c, a, o
        while i < i_end and j < j_end:
            left, right = col[i], col[j]
            common[c] = only_u[a] = left
            only_v[o] = right
            c += uint64(left == right)
            a += uint64(left < right)
            o += uint64(right < left)
            i += uint64(left <= right)
            j += uint64(right <= left)
        while i < i_end:
            only_u[a] = col[i]
            a += uint64(1)
            i += uint64(1)
        while j < j_end:
            only_v[o] = col[j]
            o += uint64(1)
            j += uint64(1)
        counts[b], u_counts[b], v_counts[b] = c - before, a - u_before, o - v_before
    return common[: int64(c)], only_u[: int64(a)], only_v[: int64(o)]


@njit(nogil=True, inline="always")
def _add(out, x, due, number):
    """Add the row that is due, and leave its place to be filled."""
    place = number % _QUEUE
    b, w = due[place, 0], due[place, 1]
    for j in range(x.shape[1]):
        out[b, j] += x[w, j]


@njit(nogil=True, inline="always")
def _found(out, x, due, number, b, w):
    """Note that row ``w`` is to be added to sum ``b``; add the one noted `_QUEUE` times ago."""
    if number >= _QUEUE:
        _add(out, x, due, number)
    place = number % _QUEUE
    due[place, 0], due[place, 1] = b, w
    prefetch_row(x, w)
    return number + 1


@kernel
def sum_common(begin, end, rowptr, col, u, v, x, start, out, counts):
    """Sums of ``x`` over the common neighbours, from ``start`` on, and their number.

    Of pairs in a row with the same first node, its neighbours are marked in a set of bits once,
    which stays in the first-level cache for some hundred thousand nodes.
    """
    marks = np.zeros((rowptr.shape[0] + 7) >> 3, dtype=np.uint8)
    due = np.empty((_QUEUE, 2), dtype=np.int64)
    marked, number = -1, 0
    for b in range(begin, end):
        _fetch(b, end, rowptr, col, u, v)
        for j in range(x.shape[1]):
            out[b, j] = start[j]
        before, first = number, u[b]
        if first != marked and b + 1 < end and u[b + 1] == first:
            if marked >= 0:
                for e in range(rowptr[marked], rowptr[marked + 1]):
                    marks[col[e] >> 3] = 0
            marked = first
            for e in range(rowptr[marked], rowptr[marked + 1]):
                marks[col[e] >> 3] |= uint8(1 << (col[e] & 7))
        i, i_end = rowptr[first], rowptr[first + 1]
        j, j_end = rowptr[v[b]], rowptr[v[b] + 1]
        if first == marked and j_end - j <= _SKEWED * (i_end - i):
            for e in range(j, j_end):
                w = col[e]
                if (marks[w >> 3] >> (w & 7)) & 1:
                    number = _found(out, x, due, number, b, w)
        else:
            if i_end - i > j_end - j:
                i, i_end, j, j_end = j, j_end, i, i_end
            if j_end - j > _SKEWED * (i_end - i):
                while i < i_end and j < j_end:
                    j = lower_bound(col, j, j_end, col[i])
                    if j < j_end and col[j] == col[i]:
                        number = _found(out, x, due, number, b, col[i])
                    i += 1
            else:
                while i < i_end and j < j_end:
                    left, right = col[i], col[j]
                    if left == right:
                        number = _found(out, x, due, number, b, left)
                    i += left <= right
                    j += right <= left
        counts[b] = number - before
    for left in range(max(0, number - _QUEUE), number):
        _add(out, x, due, left)


@intrinsic
def _ones(typing_context, bits):
    """Number of bits that are set."""

    def generate(context, builder, signature, arguments):
        return builder.zext(builder.ctpop(arguments[0]), ir.IntType(64))

    return types.int64(types.uint64), generate


@njit(nogil=True)
def _copy_together(begin, end, col, x, words, before, near):
    """Rows of the nodes from ``begin`` to ``end``; the number of them before each word of bits."""
    for e in range(begin, end):
        for j in range(x.shape[1]):
            near[e - begin, j] = x[col[e], j]
    count = 0
    for word in range(words.shape[0]):
        before[word] = count
        count += _ones(words[word])  # type: ignore[call-arg]  # Numba gives the first argument


@njit(nogil=True)
def _list_marked(begin, end, col, words, hits):
    count = np.int64(0)
    for e in range(begin, end):
        w = col[e]
        hits[count] = w
        count += np.int64((words[w >> 6] >> uint64(w & 63)) & uint64(1))
    return count


@njit(nogil=True)
def _place_in_copy(count, words, before, hits):
    for k in range(count):
        word, bit = hits[k] >> 6, uint64(hits[k] & 63)
        lower = words[word] & ((uint64(1) << bit) - uint64(1))
        hits[k] = before[word] + _ones(lower)  # type: ignore[call-arg]


@njit(nogil=True)
def _add_rows(x, rows, count, start, total):
    for j in range(x.shape[1]):
        total[j] = start[j]
    fours = count - count % 4
    for k in range(0, fours, 4):
        p, q, r, s = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        for j in range(x.shape[1]):
            total[j] += (x[p, j] + x[q, j]) + (x[r, j] + x[s, j])
    for k in range(fours, count):
        for j in range(x.shape[1]):
            total[j] += x[rows[k], j]


@kernel
def sum_common_dense(begin, end, rowptr, col, u, v, x, start, out, counts):
    """The same for graphs of many neighbours a node, where the additions take the time.

    Of pairs in a row with the same first node, the rows of its neighbours are copied into the
    second-level cache, if they are not too many.
    """
    most = longest = 0
    for b in range(begin, end):
        degree = rowptr[u[b] + 1] - rowptr[u[b]]
        longest = max(longest, degree, rowptr[v[b] + 1] - rowptr[v[b]])
        if degree * x.shape[1] * x.itemsize <= _NEAR:
            most = max(most, degree)
    near, hits = np.empty((most, x.shape[1]), x.dtype), np.empty(longest + 1, dtype=np.int64)
    words = np.zeros((rowptr.shape[0] + 63) >> 6, dtype=np.uint64)
    before = np.empty(words.shape[0], dtype=np.int64)
    b = begin
    while b < end:
        first, first_pair = u[b], b
        i, i_end = rowptr[first], rowptr[first + 1]
        for e in range(i, i_end):
            words[col[e] >> 6] |= uint64(1) << uint64(col[e] & 63)
        copied = False
        while b < end and u[b] == first:
            count = _list_marked(rowptr[v[b]], rowptr[v[b] + 1], col, words, hits)
            if not copied and b > first_pair and i_end - i <= most:
                copied = True
                _copy_together(i, i_end, col, x, words, before, near)
            if copied:
                _place_in_copy(count, words, before, hits)
                _add_rows(near, hits, count, start, out[b])
            else:
                _add_rows(x, hits, count, start, out[b])
            counts[b] = count
            b += 1
        for e in range(i, i_end):
            words[col[e] >> 6] = 0
