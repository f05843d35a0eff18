"""One matrix of a MATLAB file, version 5 to 7.

SciPy's compiled reader trusts the sizes and indices in such a file: a damaged one ends the process
(a segmentation fault) or spoils its memory. Here every byte that is read is known to be there.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.data.checked_sparse import sound

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_SPARSE, _DENSE, _OPAQUE = 5, range(6, 16), 17  # classes of arrays
_COMPLEX = 0x800


@dataclass(frozen=True)
class _Element:
    kind: int
    content: memoryview


def read_matrix(file: Path, name: str) -> tuple[Any, list[str]]:
    """The matrix of this name, dense or SciPy sparse, and the names of every variable.

    Returns:
        None for the matrix if there is none of this name.

    Raises:
        ValueError, zlib.error: if the file is damaged or none of these versions, or the variable
            is no matrix of real numbers.
        OSError: if it cannot be read.
    """
    content = memoryview(file.read_bytes())
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:_HEADER]))
    if order is None:
        raise ValueError("no MATLAB file of version 5 to 7")
    found, names = None, []
    for element in _elements(content[_HEADER:], order):
        if element.kind == _COMPRESSED:
            inner = next(_elements(memoryview(zlib.decompress(element.content)), order), None)
            if inner is None:
                raise ValueError("an empty variable")
            element = inner
        if element.kind != _MATRIX:
            continue
        parts = _elements(element.content, order)
        flags = int(_numbers(parts, order, at_least=1)[0])
        if flags & 0xFF == _OPAQUE:  # MATLAB's own objects, of another layout
            continue
        shape = _numbers(parts, order, at_least=2).tolist()
        names.append(bytes(_next(parts).content).decode("latin1"))
        if names[-1] == name:
            found = _matrix(parts, order, flags, shape)
    return found, names


def is_version_4(file: Path) -> bool:
    """Whether a MATLAB file is of the version before, which has no header."""
    with open(file, "rb") as stream:
        return b"\0" in stream.read(4)


def _elements(content: memoryview, order: str) -> Iterator[_Element]:
    at = 0
    while at < len(content):
        if len(content) - at < 8:
            raise ValueError("it ends within an element")
        kind, size = (int(word) for word in np.frombuffer(content[at : at + 8], f"{order}u4"))
        begin = at + 8
        if kind >> 16:  # four bytes at most stand in the tag itself
            kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise ValueError("an element that is larger than it can be")
        if begin + size > len(content):
            raise ValueError("it ends within an element")
        yield _Element(kind, content[begin : begin + size])
        at = at + 8 if begin == at + 4 else begin + size
        if kind != _COMPRESSED:
            at += -at % 8


def _next(parts: Iterator[_Element]) -> _Element:
    element = next(parts, None)
    if element is None:
        raise ValueError("it ends within a variable")
    return element


def _numbers(parts: Iterator[_Element], order: str, *, at_least: int = 0) -> np.ndarray:
    element = _next(parts)
    if element.kind not in _NUMBERS:
        raise ValueError("something else where numbers are expected")
    kind = np.dtype(order + _NUMBERS[element.kind])
    if len(element.content) % kind.itemsize or len(element.content) < at_least * kind.itemsize:
        raise ValueError("a number that is not whole")
    return np.frombuffer(element.content, kind).astype(kind.newbyteorder("="))


def _matrix(parts: Iterator[_Element], order: str, flags: int, shape: list[int]) -> Any:
    import scipy.sparse

    if len(shape) != 2 or any(size < 0 for size in shape):
        raise ValueError(f"an array of shape {tuple(shape)}")
    if flags & _COMPLEX or (flags & 0xFF != _SPARSE and flags & 0xFF not in _DENSE):
        raise ValueError("no matrix of real numbers")
    if flags & 0xFF == _SPARSE:
        rows, pointers = _numbers(parts, order), _numbers(parts, order)
        values = _numbers(parts, order)
        if {rows.dtype.kind, pointers.dtype.kind} - {"i", "u"}:
            raise ValueError("a sparse matrix whose indices are no whole numbers")
        parts_of_it = (values, rows.astype(np.int64), pointers.astype(np.int64))
        return sound(scipy.sparse.csc_array(parts_of_it, shape=tuple(shape)))
    values = _numbers(parts, order)
    if len(values) != math.prod(shape):
        raise ValueError(f"an array of shape {tuple(shape)} with {len(values)} numbers")
    return values.reshape(shape, order="F")
