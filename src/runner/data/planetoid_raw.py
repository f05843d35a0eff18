"""Planetoid's raw files: pickles, read without running code, for a child process."""

from __future__ import annotations

import codecs
import hashlib
import io
import pickle
import pickletools
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from runner.data.reading.checked_sparse import sound
from runner.errors import RunnerError

PARTS = ("allx", "tx", "graph", "test.index")  # the others hold labels

_NUMBERS = re.compile(r"[biuf][1248]")
_NDARRAY = object()


def read_graph(folder: str, name: str) -> bytes:
    """The graph in the files `folder`/ind.<name>.<part>.

    Returns:
        An `.npz` with features (N, F) float32, edges (2, M) int64 and the SHA-256 of the files.

    Raises:
        RunnerError: if a file asks for code or is damaged, naming it.
        ValueError: if the files do not fit together.
    """
    total = hashlib.sha256()
    found: dict[str, Any] = {}
    for part in PARTS:
        file = Path(folder) / f"ind.{name}.{part}"
        try:
            content = file.read_bytes()
            found[part] = _numbers(content) if part == "test.index" else unpickle(content)
        except Refused as refused:
            raise RunnerError(
                f"{file} is refused, for reading it could run code: it asks for {refused}, which "
                "no dataset of this kind needs; delete it to download it again, and mistrust "
                "where it came from"
            ) from None
        except Exception as error:  # pickles fail in many types
            raise ValueError(f"{file.name}: {type(error).__name__}: {error}") from None
        total.update(content)
    features = _features(_dense(found["allx"]), _dense(found["tx"]), found["test.index"])
    edges = _edges(found["graph"], len(features))
    buffer = io.BytesIO()
    np.savez(buffer, features=features, edges=edges, sha256=np.array(total.hexdigest()))
    return buffer.getvalue()


class Refused(Exception):
    """A name in a pickle that no matrix needs."""


def unpickle(content: bytes) -> Any:
    """Load a pickle of a SciPy CSR matrix, a NumPy array of numbers or a dict of lists.

    Raises:
        Refused: naming what it asks for.
        Exception: of any other type where it is damaged.
    """
    # NumPy's own types of numbers, which `_number_type` gives, do not change their byte order.
    if any(argument == ">" for _, argument, _ in pickletools.genops(content)):
        raise ValueError("numbers in big-endian order")
    return _Unpickler(io.BytesIO(content), encoding="latin1").load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Python 2, NumPy before 2.0 and SciPy before 1.8 have other names of the modules.
        module = _RENAMED.get(module, module)
        if (module, name) not in _ALLOWED:
            raise Refused(f"{module}.{name}")
        return _ALLOWED[module, name]


def _number_type(kind: Any, align: Any = False, copy: Any = True) -> np.dtype:
    """Let arrays hold plain numbers alone: with other types bytes can become pointers."""
    if not isinstance(kind, str) or not _NUMBERS.fullmatch(kind):
        raise Refused(f"a numpy.dtype of {kind!r}")
    return np.dtype(kind)


def _new_array(subtype: Any, shape: Any, kind: Any) -> np.ndarray:
    if subtype is not _NDARRAY:
        raise Refused("an array of a kind of its own")
    return np.empty(0, np.int8)


_RENAMED = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "scipy.sparse.csr": "scipy.sparse._csr",
}
_ALLOWED: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): codecs.encode,
    ("builtins", "list"): list,
    ("builtins", "object"): object,
    ("collections", "defaultdict"): defaultdict,
    ("copyreg", "_reconstructor"): object().__reduce_ex__(0)[0],
    ("numpy", "dtype"): _number_type,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "scalar"): np.int64(0).__reduce__()[0],
    ("numpy._core.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
    ("scipy.sparse._csr", "csr_matrix"): scipy.sparse.csr_matrix,
    ("scipy.sparse._csr", "csr_array"): scipy.sparse.csr_array,
}


def _numbers(content: bytes) -> np.ndarray:
    return np.array(content.split(), dtype=np.int64)


def _dense(found: Any) -> np.ndarray:
    if scipy.sparse.issparse(found):
        # Rebuilt from its arrays, for a pickle can hide methods behind attributes.
        arrays = (found.data, found.indices, found.indptr)
        found = sound(scipy.sparse.csr_array(arrays, shape=found.shape)).toarray()
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind not in "biuf":
        raise ValueError("the features are no matrix of numbers")
    return found.astype(np.float32)


def _features(first: np.ndarray, rest: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """The features of the first nodes, and those of `nodes`; nodes between them have zeros."""
    if first.shape[1] != rest.shape[1] or not 0 < len(rest) == len(nodes) == len(np.unique(nodes)):
        raise ValueError(f"features of {first.shape} and {rest.shape} for {len(nodes)} test nodes")
    low, count = int(nodes.min()), int(nodes.max()) + 1
    if low < len(first) or count > 2 * (len(first) + len(rest)):
        raise ValueError(f"test nodes {low} to {count - 1} after {len(first)} others")
    features = np.zeros((count, first.shape[1]), np.float32)
    features[: len(first)], features[nodes] = first, rest
    return features


def _edges(graph: dict[int, list[int]], nodes: int) -> np.ndarray:
    edges = np.array([(u, v) for u, neighbours in graph.items() for v in neighbours]).T
    if edges.shape[:1] != (2,) or edges.dtype.kind not in "iu":
        raise ValueError("the graph has no edges between numbered nodes")
    low, high = edges.min(), edges.max()
    if low < 0 or high >= nodes:
        raise ValueError(f"nodes {low} to {high} in a graph of {nodes}")
    return edges.astype(np.int64)
