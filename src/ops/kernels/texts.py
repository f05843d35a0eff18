"""Compiled: number texts by a table of those that are known, compared byte by byte.

A record of a known text is a word of its length and its number, and then its bytes, in words that
zeros fill up. A slot of the table holds the hash of a text and where its record is, 0 for none.
All texts of a block go through each step before the next, so that what a step reads is on its way.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.prefetch import prefetch

WORD = 8  # bytes
_BLOCK = 32  # rows
_ONE, _BYTES, _HALF = np.uint64(1), np.uint64(WORD), np.uint64(32)
_LOW = np.uint64(2**32 - 1)


@njit(nogil=True, inline="always")
def _word(data, i, end):
    """The bytes from ``i`` to ``end``, eight at most; as many have to follow in ``data``."""
    word = uint64(0)
    for k in range(WORD):
        word |= uint64(data[i + uint64(k)]) << uint64(8 * k)
    bits = (end - i) * _BYTES
    return word & ((_ONE << bits) - _ONE) if bits < uint64(64) else word


@njit(nogil=True, inline="always")
def text_hash(data, i, end):
    """32 bits."""
    x = end - i
    while i < end:
        x = (x ^ _word(data, i, end)) * uint64(0x9E3779B97F4A7C15)
        x ^= x >> _HALF
        i += _BYTES
    return (x * uint64(0xBF58476D1CE4E5B9)) >> _HALF


@kernel
def number_texts(begins, data, slots, records, state, first, codes):
    """Write the numbers of texts, row by row, to ``codes`` from column ``first`` on.

    ``state`` holds how many texts are known, and how many words of ``records`` are used.
    """
    columns, rows = begins.shape[0], begins.shape[1] - 1
    mask = uint64(slots.shape[0] - 1)
    count, used = state[0], state[1]
    keys = np.empty(columns * _BLOCK, np.uint64)
    places = np.empty(columns * _BLOCK, np.uint64)
    for start in range(0, rows, _BLOCK):
        stop = min(rows, start + _BLOCK)
        k = uint64(0)
        for r in range(start, stop):
            for c in range(columns):
                keys[k] = text_hash(data, uint64(begins[c, r]), uint64(begins[c, r + 1]))
                prefetch(slots, keys[k] & mask)
                k += _ONE
        for j in range(k):
            key = keys[uint64(j)]
            place = key & mask
            while slots[place] and slots[place] >> _HALF != key:
                place = (place + _ONE) & mask
            places[uint64(j)] = place
            record = slots[place] & _LOW
            prefetch(records, record)
            prefetch(records, record + uint64(2))  # may be in the next line of the cache
        k = uint64(0)
        for r in range(start, stop):
            for c in range(columns):
                begin, end = uint64(begins[c, r]), uint64(begins[c, r + 1])
                key, place = keys[k], places[k]
                while True:
                    slot = slots[place]
                    record = slot & _LOW
                    if not slot:
                        record = used
                        slots[place] = (key << _HALF) | record
                        records[record] = ((end - begin) << _HALF) | count
                        count, used = count + _ONE, used + _ONE
                        i = begin
                        while i < end:
                            records[used] = _word(data, i, end)
                            used += _ONE
                            i += _BYTES
                        break
                    if slot >> _HALF == key and records[record] >> _HALF == end - begin:
                        i, at = begin, record + _ONE
                        while i < end and _word(data, i, end) == records[at]:
                            i += _BYTES
                            at += _ONE
                        if i >= end:
                            break
                    place = (place + _ONE) & mask
                codes[c, first + r] = records[record] & _LOW
                k += _ONE
    state[0], state[1] = count, used


@kernel
def move_slots(slots, to):
    """To an empty table of another size."""
    mask = uint64(to.shape[0] - 1)
    for slot in slots:
        if slot:
            place = (slot >> _HALF) & mask
            while to[place]:
                place = (place + _ONE) & mask
            to[place] = slot


@kernel
def copy_texts(records, begins, data):
    """The known texts one after the other, in the order of their numbers."""
    record, end = _ONE, uint64(0)
    for number in range(begins.shape[0] - 1):
        begins[number] = end
        length = records[record] >> _HALF
        record += _ONE
        for i in range(length):
            word = records[record + (uint64(i) // _BYTES)]
            data[end + uint64(i)] = (word >> (uint64(8) * (uint64(i) % _BYTES))) & uint64(255)
        record += (length + _BYTES - _ONE) // _BYTES
        end += length
    begins[begins.shape[0] - 1] = end
