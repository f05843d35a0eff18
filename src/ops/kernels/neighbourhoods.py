"""Compiled: list the common and the one-sided neighbours of pairs."""

from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.lanes import compress, count_bits, match
from runner.ops.kernels.prefetch import AHEAD, LINE, prefetch
from runner.ops.kernels.rows import BLOCK, ONE, count_blocks, fetch, last_id, row

_AHEAD_WRITTEN = np.uint64(128)  # entries, whose place is on its way while one is written


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
    i, i_end = row(rowptr, u[b])
    j, j_end = row(rowptr, v[b])
    p = q = count = uint64(0)
    next_p, next_q = count_blocks(i, i_end), count_blocks(j, j_end)
    while b <= last:
        fetch(b, last, rowptr, col, u)
        fetch(b, last, rowptr, col, v)
        following = min(b + ONE, last)
        next_i, next_i_end = row(rowptr, u[following])
        next_j, next_j_end = row(rowptr, v[following])

        of_u, of_v = match(col, i, i_end, j, j_end)
        shared_of_u[p] |= of_u
        shared_of_v[q] |= of_v
        count += count_bits(of_u)

        left, right = last_id(col, i, i_end), last_id(col, j, j_end)
        i_moves, j_moves = uint64(left <= right), uint64(right <= left)
        i, j = i + BLOCK * i_moves, j + BLOCK * j_moves
        done = uint64(i >= i_end) | uint64(j >= j_end)
        p, q = _pick(done, next_p, p + i_moves), _pick(done, next_q, q + j_moves)
        i, i_end = _pick(done, next_i, i), _pick(done, next_i_end, i_end)
        j, j_end = _pick(done, next_j, j), _pick(done, next_j_end, j_end)
        next_p += done * count_blocks(next_i, next_i_end)
        next_q += done * count_blocks(next_j, next_j_end)
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
    i, i_end = row(rowptr, nodes[b])
    p = uint64(0)
    while b <= last:
        fetch(b, last, rowptr, col, nodes)
        next_i, next_i_end = row(rowptr, nodes[min(b + ONE, last)])
        if common is not None:
            prefetch(common_node, c + _AHEAD_WRITTEN)
            c += compress(col, i, i_end, shared[p], common_node, c)
            common_rowptr[b + ONE] = c
        prefetch(alone_node, a + _AHEAD_WRITTEN)  # most of a block, two lines
        prefetch(alone_node, a + _AHEAD_WRITTEN + line)
        a += compress(col, i, i_end, ~shared[p], alone_node, a)
        alone_rowptr[b + ONE] = a
        p += uint64(i < i_end)
        i += BLOCK
        done = uint64(i >= i_end)
        i, i_end = _pick(done, next_i, i), _pick(done, next_i_end, i_end)
        b += done


@njit(nogil=True)
def _extent(begin, end, rowptr, nodes):
    """Entries of all rows, and blocks of them."""
    entries, blocks = 0, uint64(0)
    for b in range(begin, end):
        prefetch(rowptr, nodes[min(b + 2 * AHEAD, end - 1)])
        i, i_end = row(rowptr, nodes[b])
        entries += int64(i_end - i)
        blocks += count_blocks(i, i_end)
    return entries, int64(blocks)


@njit(nogil=True, inline="always")
def _pick(which, one, other):
    """``one`` if 1, ``other`` if 0: LLVM may make a branch of a conditional."""
    return other ^ ((one ^ other) & (uint64(0) - which))
