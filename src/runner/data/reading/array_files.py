"""Graphs in `.npz` and in PyG's `.pt`: the shapes that programs write, told apart by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

import numpy as np
import torch
from torch import Tensor

from runner.config.hydra_messages import short
from runner.data.reading.checked_sparse import sound
from runner.data.reading.distinct_ids import distinct
from runner.data.reading.raw_graph import RawGraph
from runner.data.reading.saved_split import find_split, read_split, store_of
from runner.data.reading.user_file import damaged, is_plain, load_pt
from runner.errors import RunnerError

_FEATURES = ("x", "features", "node_features", "feat")
_EDGES = ("edge_index", "edges", "edge_list")


def from_adjacency(matrix: object) -> RawGraph:
    """The graph of an adjacency matrix, dense or sparse; of two kinds of nodes if not square.

    Raises:
        ValueError: if it is no matrix, or holds no real numbers.
    """
    import scipy.sparse

    sparse = scipy.sparse.coo_array(sound(matrix))
    if sparse.ndim != 2:
        raise ValueError(f"an adjacency matrix has two dimensions, this one is {sparse.shape}")
    if sparse.dtype.kind not in "biuf" or np.isnan(sparse.data).any():
        raise ValueError("an adjacency matrix holds real numbers, this one does not")
    weighted = bool(len(sparse.data)) and bool((sparse.data != sparse.data[0]).any())
    sparse.eliminate_zeros()
    edges = torch.from_numpy(np.stack([sparse.row, sparse.col]).astype(np.int64))
    notes = ("weights are not used",) if weighted else ()
    facts = {"shape": "matrix", **({"weights ignored": True} if weighted else {})}
    rows, columns = map(int, sparse.shape)
    if rows == columns:
        return RawGraph(edges, num_nodes=rows, notes=notes, facts=facts)
    edges[1] += rows
    return RawGraph(edges, num_nodes=rows + columns, num_sources=rows, notes=notes, facts=facts)


def read_npz(file: Path, key: str | None) -> RawGraph:
    """A graph in NumPy's archive: SciPy's sparse matrix, `edge_index`, or one array.

    Raises:
        RunnerError: if it is damaged, or several arrays could be the graph.
    """
    try:
        with open(file, "rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("no archive of arrays")
            return _from_archive(file, archive, key)
    except RunnerError:
        raise
    except Exception as error:  # damaged files fail in many types
        raise damaged("dataset.path", file, error) from None


def _from_archive(file: Path, archive: Any, key: str | None) -> RawGraph:
    import scipy.sparse

    names = archive.files
    if key is not None:
        if key not in names:
            _refuse(file, f"no key {key} among {', '.join(names)}", "key")
        return _from_array(file, key, archive[key])
    if {"format", "shape"} <= set(names):
        with open(file, "rb") as stream:
            return from_adjacency(scipy.sparse.load_npz(stream))
    if {"adj_data", "adj_indices", "adj_indptr", "adj_shape"} <= set(names):
        parts = tuple(archive[f"adj_{part}"] for part in ("data", "indices", "indptr"))
        return from_adjacency(scipy.sparse.csr_array(parts, shape=tuple(archive["adj_shape"])))
    found = [name for name in _EDGES if name in names]
    if len(found) == 1:
        content = {name: archive[name] for name in (*_FEATURES, "num_nodes") if name in names}
        return _from_pairs(file, found[0], archive[found[0]], content)
    if len(names) == 1:
        return _from_array(file, names[0], archive[names[0]])
    _refuse(file, f"which of its arrays is the graph ({', '.join(names)})?", "key")


def _from_array(file: Path, name: str, array: np.ndarray) -> RawGraph:
    if array.ndim == 2 and array.shape[0] == array.shape[1] and array.shape[0] > 2:
        return from_adjacency(array)
    return _from_pairs(file, name, array, {})


def _from_pairs(
    file: Path, name: str, array: np.ndarray, content: Mapping[str, np.ndarray]
) -> RawGraph:
    is_pairs = array.ndim == 2 and 2 in array.shape and array.dtype.kind in "iu"
    if not is_pairs:
        _refuse(
            file,
            f"{name} is of shape {array.shape} and {array.dtype}: neither a square matrix nor "
            "pairs of whole numbers",
            "key",
        )
    if array.shape == (2, 2):
        _refuse(file, f"{name} has two links, in rows or in columns", "key")
    edges = torch.from_numpy(np.ascontiguousarray(array if array.shape[0] == 2 else array.T))
    features = next((content[f] for f in _FEATURES if f in content), None)
    found = None
    if features is not None and features.ndim == 2 and features.dtype.kind in "biuf":
        found = torch.from_numpy(features.astype(np.float32))
    nodes = int(content["num_nodes"]) if "num_nodes" in content else None
    if nodes is None and found is not None:
        nodes = len(found)
    edges = edges.to(torch.int64)
    ids = None if nodes is not None else distinct(edges.numpy())
    return RawGraph(edges, num_nodes=nodes, features=found, ids=ids)


def _refuse(file: Path, what: str, key: str) -> NoReturn:
    raise RunnerError(f"dataset.path={file}: {what}; say dataset.{key}=…")


def read_pt(file: Path) -> RawGraph:
    """A graph saved by PyG: a `Data`, what an `InMemoryDataset` keeps, a dict, or `edge_index`.

    The three parts of `RandomLinkSplit` are a graph with a split of its own.

    Raises:
        RunnerError: if it is none of these, a part of a split, or several graphs.
    """
    loaded = load_pt("dataset.path", file)
    split = find_split(loaded)
    if split is not None:
        unlabelled = {key: split[0].get(key) for key in ("edge_index", "x", "num_nodes")}
        return read_split(file, _from_store(file, unlabelled), split)
    if isinstance(loaded, Sequence) and not isinstance(loaded, str):
        loaded = _one_of_sequence(file, loaded)
    if is_plain(loaded):
        return _from_store(file, {"edge_index": loaded})
    return _from_store(file, store_of(loaded))


def _one_of_sequence(file: Path, loaded: Sequence[object]) -> object:
    if len(loaded) in (1, 2, 3) and (len(loaded) == 1 or not _is_graph(loaded[1])):
        slices = loaded[1] if len(loaded) > 1 else None
        several = [
            len(part) - 1 for part in (slices.values() if isinstance(slices, Mapping) else ())
            if isinstance(part, Tensor | list)
        ]  # fmt: skip
        if max(several, default=1) > 1:
            raise RunnerError(
                f"dataset.path={file}: it holds {max(several)} graphs; save the one that is meant"
            )
        return loaded[0]
    if all(map(_is_graph, loaded)):
        raise RunnerError(
            f"dataset.path={file}: it holds {len(loaded)} graphs, as the parts of a split; save "
            "the graph before it is split"
        )
    return None


def _is_graph(value: object) -> bool:
    return "_store" in getattr(value, "__dict__", {})


def _from_store(file: Path, stored: Mapping[str, object]) -> RawGraph:
    edges, features, nodes = (stored.get(key) for key in ("edge_index", "x", "num_nodes"))
    if "edge_label_index" in stored:
        raise RunnerError(
            f"dataset.path={file}: it is one part of a split by RandomLinkSplit (it has "
            "edge_label_index), without the links of the others; save the graph before it is split"
        )
    if not _is_matrix(edges) or edges.shape[0] != 2:
        raise RunnerError(
            f"dataset.path={file}: no PyG Data with an edge_index of shape (2, M) in it"
        )
    if edges.is_floating_point() or edges.is_complex() or edges.dtype == torch.bool:
        raise RunnerError(f"dataset.path={file}: edge_index is of {edges.dtype}, not of integers")
    if features is not None and not _is_matrix(features):
        raise RunnerError(
            f"dataset.path={file}: x is no dense matrix with a row for each node; store it as a "
            "tensor of shape (N, F)"
        )
    if nodes is not None and (type(nodes) is not int or nodes < 1):
        raise RunnerError(
            f"dataset.path={file}: num_nodes={short(repr(nodes))} is no number of nodes"
        )
    if features is not None:
        nodes = features.shape[0]
    edges = edges.to(torch.int64)
    return RawGraph(edges, num_nodes=nodes, features=features, notes=_gaps(edges, nodes))


def _gaps(edges: Tensor, nodes: int | None) -> tuple[str, ...]:
    """A note where PyG's convention, that nodes are 0 to the highest, makes nodes without links."""
    used = distinct(edges.numpy())
    if nodes is not None or not len(used) or used[0] < 0 or used[-1] == len(used) - 1:
        return ()
    alone = int(used[-1]) + 1 - len(used)
    return (
        f"took 0 to {used[-1]} as nodes, as PyG does: {alone} of them have no link; if these are "
        "ids with gaps, save a table of links",
    )


def _is_matrix(x: object) -> TypeGuard[Tensor]:
    return is_plain(x) and x.layout == torch.strided and x.dim() == 2
