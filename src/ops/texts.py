"""The distinct texts of a table, in the order of their first appearance."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch

from runner.ops.kernels import texts as kernels
from runner.ops.kernels.parallel import run

Texts = tuple[np.ndarray, np.ndarray]

_MOST_PARTS = 4  # since the texts of all but the first are numbered once more
_PART = 100_000  # rows, below which no further part pays


def number_texts(batches: Sequence[Sequence[Texts]]) -> tuple[Texts, np.ndarray]:
    """Number texts row by row, and within a row column by column; equal bytes have one number.

    Each thread numbers some of the rows, and then the distinct texts of all threads are numbered.

    Args:
        batches: one or more, each some rows of C columns; of a column the texts as places where
            each begins and the last ends, (n + 1,) integers, in bytes, (B,) uint8.

    Returns:
        The K distinct texts in the same form, and the numbers, (C, R) int64.

    Raises:
        OverflowError: if the distinct texts take 32 GiB or more.
    """
    starts = list(itertools.accumulate((len(batch[0][0]) - 1 for batch in batches), initial=0))
    codes = np.empty((len(batches[0]), starts[-1]), dtype=np.int64)

    def number(first: int, last: int) -> _Known:
        known = _Known()
        for batch, start in zip(batches[first:last], starts[first:last], strict=True):
            known.number(batch, codes, start)
        return known

    parts = max(1, min(torch.get_num_threads(), _MOST_PARTS, starts[-1] // _PART))
    bounds = [len(batches) * part // parts for part in range(parts + 1)]
    known, *others = run(number, list(itertools.pairwise(bounds)))
    for other, first, last in zip(others, bounds[1:], bounds[2:], strict=False):
        numbers = np.empty((1, other.count), dtype=np.int64)
        known.number([other.texts()], numbers, 0)
        for begin, end in itertools.pairwise(starts[first : last + 1]):
            codes[:, begin:end] = numbers[0, codes[:, begin:end]]
    return known.texts(), codes


class _Known:
    """Distinct texts, and a table to find them by."""

    def __init__(self) -> None:
        self._slots = _zeros(1 << 10)
        self._records = _zeros(1 << 10)
        self._state = np.array([0, 1], dtype=np.uint64)  # no record is at 0

    @property
    def count(self) -> int:
        return int(self._state[0])

    def number(self, columns: Sequence[Texts], codes: np.ndarray, first: int) -> None:
        """Write the numbers of some rows to ``codes`` from column ``first`` on."""
        pieces = [data[begins[0] : begins[-1]] for begins, data in columns]
        data = np.concatenate([*pieces, np.zeros(kernels.WORD, dtype=np.uint8)])
        begins = np.empty((len(columns), len(columns[0][0])), dtype=np.int64)
        start = 0
        for row, (column, _) in zip(begins, columns, strict=True):
            np.add(column, start - int(column[0]), out=row)
            start = int(row[-1])
        self._make_room(begins.size, len(data))
        kernels.number_texts(begins, data, self._slots, self._records, self._state, first, codes)

    def _make_room(self, texts: int, size: int) -> None:
        """For so many texts that may be new, of so many bytes together."""
        used = int(self._state[1])
        words = used + 2 * texts + size // kernels.WORD
        if words >= 1 << 32:
            raise OverflowError("the distinct texts take more than 32 GiB")
        if words > len(self._records):
            records = _zeros(2 * words)
            records[:used] = self._records[:used]
            self._records = records
        least = 3 * (self.count + texts) // 2
        if least > len(self._slots):
            slots = _zeros(1 << least.bit_length())
            kernels.move_slots(self._slots, slots)
            self._slots = slots

    def texts(self) -> Texts:
        begins = np.empty(self.count + 1, dtype=np.int64)
        data = np.empty(kernels.WORD * int(self._state[1]), dtype=np.uint8)
        kernels.copy_texts(self._records, begins, data)
        return begins, data[: begins[-1]]


def _zeros(size: int) -> np.ndarray:
    """Words in large pages, which go back to the system with the array, in whatever thread."""
    memory = mmap.mmap(-1, kernels.WORD * size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(AttributeError, OSError):  # of Linux alone
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype=np.uint64)
