"""Pickles of matrices and adjacency lists, proved harmless before anything unpickles them."""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

_NUMBERS = re.compile(r"[biuf][1248]")
_OBJECT, _NDARRAY = object(), object()


class Refused(Exception):
    """What a pickle asks for that no matrix needs."""


def prove_harmless(content: bytes) -> None:
    """Read a pickle of a SciPy CSR matrix, a NumPy array or a dict of lists, with stand-ins.

    Every name in it is one that these need, in the modules that NumPy and SciPy have had them in.
    A stand-in accepts what `pickle.load(…, encoding="latin1")` can build without harm: arrays of
    plain numbers and of the size that they say, matrices whose indices lie inside them.

    Raises:
        Refused: naming what it asks for.
        Exception: of any other type where it is damaged.
    """
    found = _Reader(io.BytesIO(content), encoding="latin1").load()
    if isinstance(found, _Matrix):
        found.check()


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise Refused(f"{module}.{name}")
        return _KNOWN[module, name]


class _Function:
    """A function that, unlike Python's own, has no attributes that a pickle could set."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise Refused("a change of a function")


class _Type:
    """A NumPy dtype of plain numbers, without fields, objects or flags."""

    __slots__ = ("fixed", "kind")

    def __init__(self, kind: str) -> None:
        self.kind = np.dtype(kind)
        self.fixed = False

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in tuple("<>|=") or state != (3, order, None, None, None, -1, -1, 0):
            raise Refused(f"a numpy.dtype of {state}")
        if self.fixed:
            raise Refused("a numpy.dtype that changes")
        self.kind = self.kind.newbyteorder(order)
        self.fixed = True


class _Array:
    __slots__ = ("values",)

    def __setstate__(self, state: Any) -> None:
        if hasattr(self, "values"):
            raise Refused("an array that changes")
        _, shape, kind, fortran, content = state
        self.values = _values(content, kind, shape, "F" if fortran else "C")


class _Matrix:
    """A SciPy CSR matrix."""

    __slots__ = ("parts",)

    def __setstate__(self, state: Any) -> None:
        if hasattr(self, "parts"):
            raise Refused("a matrix that changes")
        self.parts = dict(state)

    def check(self) -> None:
        """Refuse what SciPy does not look at: its compiled code trusts the indices."""
        parts = dict(self.parts)
        rows, columns = parts.pop("_shape")
        pointers, indices, data = (parts.pop(key).values for key in ("indptr", "indices", "data"))
        for key, value in parts.items():
            if type(value) not in (bool, int, str, type(None)):
                raise Refused(f"a matrix with {key} of {type(value).__name__}")
        if (
            type(rows) is not int
            or type(columns) is not int
            or {pointers.dtype.kind, indices.dtype.kind} != {"i"}
            or not pointers.ndim == indices.ndim == data.ndim == 1
            or len(pointers) != rows + 1
            or pointers[0] != 0
            or (np.diff(pointers) < 0).any()
            or pointers[-1] > min(len(indices), len(data))
            or ((indices < 0) | (indices >= columns)).any()
        ):
            raise Refused("a matrix with indices outside of it")


def _values(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    raw = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(kind, _Type) or not isinstance(raw, bytes | bytearray):
        raise Refused("an array of something else than numbers")
    if any(type(size) is not int or size < 0 for size in shape):
        raise Refused(f"an array of shape {shape}")
    kind.fixed = True  # it would change under the array
    if len(raw) != math.prod(shape) * kind.kind.itemsize:
        raise Refused(f"an array of shape {shape} in {len(raw)} bytes")
    return np.frombuffer(raw, dtype=kind.kind).reshape(shape, order=order)


def _dtype(kind: Any, align: Any = False, copy: Any = True) -> _Type:
    if not isinstance(kind, str) or not _NUMBERS.fullmatch(kind):
        raise Refused(f"a numpy.dtype of {kind!r}")
    return _Type(kind)


def _reconstruct(subtype: Any, shape: Any, kind: Any) -> _Array:
    if subtype is not _NDARRAY or shape != (0,) or kind not in ("b", b"b"):
        raise Refused("an array of a kind of its own")
    return _Array()


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
    if order not in ("C", "F", "A") or axes is not None:
        raise Refused(f"an array of order {order} and {axes}")
    array = _Array()
    array.values = _values(content, kind, shape, order)
    return array


def _scalar(kind: Any, content: Any) -> Any:
    return _values(content, kind, (), "C").item()


def _bytes(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1":
        raise Refused(f"the encoding {encoding}")
    return text.encode(encoding)


def _new_object(kind: Any, base: Any, state: Any) -> _Matrix:
    if kind is not _Matrix or base is not _OBJECT or state is not None:
        raise Refused("an object of an unknown kind")
    return _Matrix()


_BUILTINS = {"list": list, "object": _OBJECT}
_NUMPY = {
    "multiarray": {"_reconstruct": _Function(_reconstruct), "scalar": _Function(_scalar)},
    "numeric": {"_frombuffer": _Function(_from_buffer)},
}
# Python 2 and 3, NumPy before and since 2.0, SciPy before and since 1.8.
_MODULES: dict[str, dict[str, Any]] = {
    "__builtin__": _BUILTINS,
    "builtins": _BUILTINS,
    "collections": {"defaultdict": defaultdict},
    "copy_reg": {"_reconstructor": _Function(_new_object)},
    "copyreg": {"_reconstructor": _Function(_new_object)},
    "_codecs": {"encode": _Function(_bytes)},
    "numpy": {"dtype": _Function(_dtype), "ndarray": _NDARRAY},
    **{f"numpy.core.{module}": names for module, names in _NUMPY.items()},
    **{f"numpy._core.{module}": names for module, names in _NUMPY.items()},
    "scipy.sparse.csr": {"csr_matrix": _Matrix, "csr_array": _Matrix},
    "scipy.sparse._csr": {"csr_matrix": _Matrix, "csr_array": _Matrix},
}
_KNOWN = {(module, name): names[name] for module, names in _MODULES.items() for name in names}
