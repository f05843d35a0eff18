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
_BLOCK = 256  # pairs, whose common neighbours are listed before they are added
_NEAR = 2**20  # bytes: what of a second-level cache a copy of rows may take


@njit(nogil=True, inline="always")
def _fetch(b, end, rowptr, col, u, v):
    """Have the rows of the pairs after ``b`` on their way, and where they begin before that.

    Without a branch: around one, Numba counts the references to the arrays, which takes ten times
    as long as this.
    """
    soon, later = min(b + AHEAD, end - 1), min(b + 2 * AHEAD, end - 1)
    prefetch(rowptr, u[later])
    prefetch(rowptr, v[later])
    _fetch_beginning(rowptr, col, u[soon])
    _fetch_beginning(rowptr, col, v[soon])


@njit(nogil=True, inline="always")
def _fetch_beginning(rowptr, col, node):
    """Of a row, four lines; the processor itself fetches what follows."""
    first, last = rowptr[node], rowptr[node + 1]
    step = LINE // col.itemsize
    prefetch(col, first)
    prefetch(col, min(first + step, last))
    prefetch(col, min(first + 2 * step, last))
    prefetch(col, min(first + 3 * step, last))


@kernel
def list_common(begin, end, rowptr, col, u, v, counts):
    """Fill ``counts``; return the common neighbours of all pairs, of the type of ``col``."""
    return _list_common(begin, end, rowptr, col, u, v, counts, _marks(begin, end, rowptr, u))


@njit(nogil=True)
def _list_common(begin, end, rowptr, col, u, v, counts, marks):
    """The same with :func:`_marks`, which are zero before and after.

    Rows are merged without branches that depend on ids, which no processor foresees: every node is
    written, and stays where it was common. Indices are unsigned, so that none is taken for one from
    the end. Of pairs in a row with the same first node, its neighbours are marked once, where that
    costs no more than searching them.
    """
    room = 1
    for b in range(begin, end):
        room += min(rowptr[u[b] + 1] - rowptr[u[b]], rowptr[v[b] + 1] - rowptr[v[b]])
    common = np.empty(room, col.dtype)
    c, current, marked = uint64(0), -1, False
    for b in range(begin, end):
        _fetch(b, end, rowptr, col, u, v)
        first = u[b]
        if first != current:
            if marked:
                _unmark(rowptr[current], rowptr[current + 1], col, marks)
            current = first
            marked = b + 1 < end and u[b + 1] == first and _pays(b, end, rowptr, u, v)
            if marked:
                _mark(rowptr[first], rowptr[first + 1], col, marks)
        i, i_end = uint64(rowptr[first]), uint64(rowptr[first + 1])
        j, j_end = uint64(rowptr[v[b]]), uint64(rowptr[v[b] + 1])
        before = c
        if marked and j_end - j <= uint64(_SKEWED) * (i_end - i):
            for e in range(j, j_end):
                w = col[e]
                common[c] = w
                c += uint64((marks[w >> 3] >> (w & 7)) & 1)
        else:
            if i_end - i > j_end - j:
                i, i_end, j, j_end = j, j_end, i, i_end
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
    if marked:
        _unmark(rowptr[current], rowptr[current + 1], col, marks)
    return common[: int64(c)]


@njit(nogil=True)
def _marks(begin, end, rowptr, u):
    """A bit for every node, none where no two pairs in a row have the same first node.

    They stay in the first-level cache for some hundred thousand nodes.
    """
    for b in range(begin, end - 1):
        if u[b] == u[b + 1]:
            return np.zeros((rowptr.shape[0] + 7) >> 3, dtype=np.uint8)
    return np.zeros(0, dtype=np.uint8)


@njit(nogil=True)
def _pays(b, end, rowptr, u, v):
    """Whether those looked for among the neighbours of ``u[b]`` are worth marking these all."""
    worth, first = 0, u[b]
    for pair in range(b, end):
        if u[pair] != first:
            return False
        worth += _SKEWED * (rowptr[v[pair] + 1] - rowptr[v[pair]])
        if worth >= rowptr[first + 1] - rowptr[first]:
            return True
    return False


@njit(nogil=True)
def _mark(begin, end, col, marks):
    for e in range(begin, end):
        marks[col[e] >> 3] |= uint8(1 << (col[e] & 7))


@njit(nogil=True)
def _unmark(begin, end, col, marks):
    for e in range(begin, end):
        marks[col[e] >> 3] = 0


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


@kernel
def sum_common(begin, end, rowptr, col, u, v, x, start, out, counts):
    """Sums of ``x`` over the common neighbours, from ``start`` on, and their number."""
    marks = _marks(begin, end, rowptr, u)
    for block in range(begin, end, _BLOCK):
        block_end = min(block + _BLOCK, end)
        common = _list_common(block, block_end, rowptr, col, u, v, counts, marks)
        e = 0
        for b in range(block, block_end):
            for j in range(x.shape[1]):
                out[b, j] = start[j]
            for _ in range(counts[b]):
                if e + AHEAD < common.shape[0]:
                    prefetch_row(x, common[e + AHEAD])
                w = common[e]
                for j in range(x.shape[1]):
                    out[b, j] += x[w, j]
                e += 1


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
        w = col[e]
        for j in range(x.shape[1]):
            near[e - begin, j] = x[w, j]
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
        w = rows[k]
        for j in range(x.shape[1]):
            total[j] += x[w, j]


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
