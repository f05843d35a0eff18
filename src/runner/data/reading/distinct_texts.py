"""The distinct texts of columns, numbered in the order of their first appearance, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow

from runner.ops import backend
from runner.ops.texts import Texts, number_texts

_FEW = 100_000  # rows, which take less time than a kernel takes to be compiled
_BATCH = 1 << 16  # rows, whose texts the caches of a core hold


def distinct_texts(columns: Sequence[pyarrow.ChunkedArray]) -> tuple[pyarrow.Array, np.ndarray]:
    """The texts of C columns, (R,) strings, no nulls: each distinct one once, (K,), and their
    places there, (C, R) int64."""
    few = len(columns[0]) < _FEW or backend.only_plain()
    return (plain if few else compiled)(columns)


def plain(columns: Sequence[pyarrow.ChunkedArray]) -> tuple[pyarrow.Array, np.ndarray]:
    chunks = [chunk for column in columns for chunk in column.chunks]
    texts = pyarrow.chunked_array(chunks, pyarrow.string()).combine_chunks()
    row_by_row = np.arange(len(texts)).reshape(len(columns), -1).T.reshape(-1)
    encoded = texts.take(pyarrow.array(row_by_row)).dictionary_encode()
    codes = encoded.indices.to_numpy().reshape(-1, len(columns)).T
    return encoded.dictionary, codes.astype(np.int64, order="C")


def compiled(columns: Sequence[pyarrow.ChunkedArray]) -> tuple[pyarrow.Array, np.ndarray]:
    table = pyarrow.table(list(columns), names=[str(n) for n in range(len(columns))])
    batches = table.to_batches(max_chunksize=_BATCH)
    (begins, data), codes = number_texts([list(map(_arrays, batch.columns)) for batch in batches])
    buffers = [pyarrow.py_buffer(array) for array in (begins, data)]
    texts = pyarrow.LargeStringArray.from_buffers(len(begins) - 1, *buffers)
    return texts.cast(pyarrow.string()), codes


def _arrays(texts: pyarrow.StringArray) -> Texts:
    _, begins, data = texts.buffers()
    places = np.frombuffer(begins, np.int32, len(texts) + 1, 4 * texts.offset)
    return places, np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
