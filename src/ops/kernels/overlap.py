"""Compiled: merge the sorted rows of two nodes."""

from __future__ import annotations

import numpy as np
from numba import int64, njit, uint8, uint64

from ops.kernels.compile import kernel
from ops.kernels.lanes import LANES, compress, count_bits, match
from ops.kernels.prefetch import AHEAD, LINE, prefetch, prefetch_row
from ops.kernels.search import lower_bound

_SKEWED = 64  # times as many neighbours, from which on searching beats merging
_MARKED = 16  # neighbours that are marked for each one that is looked for among them
_BLOCK = 256  # pairs, whose common neighbours are listed before they are added
_AHEAD_WRITTEN = np.uint64(128)  # entries, whose place is on its way while one is written
_LANES, _ONE = np.uint64(LANES), np.uint64(1)
_NEAR = 2**20  # bytes: what of a second-level cache a copy of rows may take


@njit(nogil=True, inline="always")
def _fetch(b, last, rowptr, col, nodes):
    """Have a row after the one of ``nodes[b]`` on its way, and where a later one begins.

    Without a branch: around one, Numba counts the references to the arrays, which takes ten times
    as long as this.
    """
    prefetch(rowptr, nodes[min(b + uint64(2 * AHEAD), last)])
    i, i_end = _row(rowptr, nodes[min(b + uint64(AHEAD), last)])
    line = uint64(LINE // col.itemsize)
    prefetch(col, i)  # four lines; the processor itself fetches what follows
    prefetch(col, min(i + line, i_end))
    prefetch(col, min(i + uint64(2) * line, i_end))
    prefetch(col, min(i + uint64(3) * line, i_end))


@kernel
def list_common(begin, end, rowptr, col, u, v, counts):
    """Fill ``counts``; return the common neighbours of all pairs, of the type of ``col``."""
    return _list_common(begin, end, rowptr, col, u, v, counts, _marks(begin, end, rowptr, u))


@njit(nogil=True)
def _list_common(begin, end, rowptr, col, u, v, counts, marks):
    """The same with :func:`_marks`, which are zero before and after.

    Indices are unsigned, so that none is taken for one from the end. Of pairs in a row with the
    same first node, its neighbours are marked once, where that costs no more than searching them.
    """
    room = 1
    for b in range(begin, end):
        room += min(rowptr[u[b] + 1] - rowptr[u[b]], rowptr[v[b] + 1] - rowptr[v[b]])
    common = np.empty(room, col.dtype)
    c, current, marked = uint64(0), -1, False
    for b in range(begin, end):
        _fetch(uint64(b), uint64(end - 1), rowptr, col, u)
        _fetch(uint64(b), uint64(end - 1), rowptr, col, v)
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
        if marked and j_end - j <= uint64(_MARKED) * (i_end - i):
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
                    shared, _ = match(col, i, i_end, j, j_end)
                    c += compress(col, i, i_end, shared, common, c)
                    left, right = _last_id(col, i, i_end), _last_id(col, j, j_end)
                    i += _LANES * uint64(left <= right)
                    j += _LANES * uint64(right <= left)
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
        worth += _MARKED * (rowptr[v[pair] + 1] - rowptr[v[pair]])
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
def find_shared(begin, end, rowptr, col, u, v):
    """Which entries of the rows of each pair are common neighbours; at least one pair and entry.

    Blocks of all pairs are compared in one loop, and what comes next is picked without a branch: no
    processor foresees where a row ends. So rows are fetched anew at every block.

    Returns:
        The range; a bit for each entry of u, and of v, sixteen of a block in a uint16, and one more
        uint16, which a row without entries has; and how many are common, of u alone, of v alone.
    """
    entries_of_u, blocks_of_u = _extent(begin, end, rowptr, u)
    entries_of_v, blocks_of_v = _extent(begin, end, rowptr, v)
    shared_of_u = np.zeros(blocks_of_u + 1, np.uint16)
    shared_of_v = np.zeros(blocks_of_v + 1, np.uint16)
    b, last = uint64(begin), uint64(end - 1)
    i, i_end = _row(rowptr, u[b])
    j, j_end = _row(rowptr, v[b])
    p = q = count = uint64(0)
    next_p, next_q = _blocks(i, i_end), _blocks(j, j_end)
    while b <= last:
        _fetch(b, last, rowptr, col, u)
        _fetch(b, last, rowptr, col, v)
        following = min(b + _ONE, last)
        next_i, next_i_end = _row(rowptr, u[following])
        next_j, next_j_end = _row(rowptr, v[following])

        of_u, of_v = match(col, i, i_end, j, j_end)
        shared_of_u[p] |= of_u
        shared_of_v[q] |= of_v
        count += count_bits(of_u)

        left, right = _last_id(col, i, i_end), _last_id(col, j, j_end)
        i_moves, j_moves = uint64(left <= right), uint64(right <= left)
        i, j = i + _LANES * i_moves, j + _LANES * j_moves
        done = uint64(i >= i_end) | uint64(j >= j_end)
        p, q = _pick(done, next_p, p + i_moves), _pick(done, next_q, q + j_moves)
        i, i_end = _pick(done, next_i, i), _pick(done, next_i_end, i_end)
        j, j_end = _pick(done, next_j, j), _pick(done, next_j_end, j_end)
        next_p += done * _blocks(next_i, next_i_end)
        next_q += done * _blocks(next_j, next_j_end)
        b += done
    common = int64(count)
    numbers = common, entries_of_u - common, entries_of_v - common
    return begin, end, shared_of_u, shared_of_v, numbers


@kernel
def list_neighbourhoods(
    begin, end, rowptr, col, u, v, shared_of_u, shared_of_v, common, only_u, only_v
):
    """Write the lists of pairs, of which :func:`find_shared` has found what they share.

    Args:
        common, only_u, only_v: of each the place of the range's first entry, all nodes, (nnz,)
            int64, and all offsets, (B + 1,) int64, of which those after each pair are written.
    """
    _separate(begin, end, rowptr, col, u, shared_of_u, common, only_u)
    _separate(begin, end, rowptr, col, v, shared_of_v, None, only_v)


@njit(nogil=True)
def _separate(begin, end, rowptr, col, nodes, shared, common, alone):
    b, last = uint64(begin), uint64(end - 1)
    a, alone_node, alone_rowptr = uint64(alone[0]), alone[1], alone[2]
    if common is not None:
        c, common_node, common_rowptr = uint64(common[0]), common[1], common[2]
    line = uint64(LINE // alone_node.itemsize)
    i, i_end = _row(rowptr, nodes[b])
    p = uint64(0)
    while b <= last:
        _fetch(b, last, rowptr, col, nodes)
        next_i, next_i_end = _row(rowptr, nodes[min(b + _ONE, last)])
        if common is not None:
            prefetch(common_node, c + _AHEAD_WRITTEN)
            c += compress(col, i, i_end, shared[p], common_node, c)
            common_rowptr[b + _ONE] = c
        prefetch(alone_node, a + _AHEAD_WRITTEN)  # most of a block, two lines
        prefetch(alone_node, a + _AHEAD_WRITTEN + line)
        a += compress(col, i, i_end, ~shared[p], alone_node, a)
        alone_rowptr[b + _ONE] = a
        p += uint64(i < i_end)
        i += _LANES
        done = uint64(i >= i_end)
        i, i_end = _pick(done, next_i, i), _pick(done, next_i_end, i_end)
        b += done


@njit(nogil=True)
def _extent(begin, end, rowptr, nodes):
    """Entries of all rows, and blocks of them."""
    entries, blocks = 0, uint64(0)
    for b in range(begin, end):
        prefetch(rowptr, nodes[min(b + 2 * AHEAD, end - 1)])
        i, i_end = _row(rowptr, nodes[b])
        entries += int64(i_end - i)
        blocks += _blocks(i, i_end)
    return entries, int64(blocks)


@njit(nogil=True, inline="always")
def _row(rowptr, node):
    return uint64(rowptr[uint64(node)]), uint64(rowptr[uint64(node) + _ONE])


@njit(nogil=True, inline="always")
def _blocks(i, i_end):
    return (i_end - i + _LANES - _ONE) // _LANES


@njit(nogil=True, inline="always")
def _last_id(col, i, i_end):
    """Of a block. Any where the row has ended, which is within ``col`` all the same."""
    return col[max(min(i + _LANES, i_end), _ONE) - _ONE]


@njit(nogil=True, inline="always")
def _pick(which, one, other):
    """``one`` if 1, ``other`` if 0: LLVM may make a branch of a conditional."""
    return other ^ ((one ^ other) & (uint64(0) - which))


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
        count += int64(count_bits(words[word]))


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
        hits[k] = before[word] + int64(count_bits(lower))


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
