"""A user's own graph, from a file of edges and an optional file of node features."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeGuard

import numpy as np
import torch
from torch import Tensor

from runner.config.hydra_messages import short
from runner.data.checked_sparse import sound
from runner.data.feature_file import checked_features, read_features
from runner.data.link_data import LinkData, link_data
from runner.data.splits import RandomSplit
from runner.data.user_file import damaged, existing_file, is_plain, load_pt
from runner.errors import RunnerError
from runner.keys import PositiveInt, Text
from runner.machine.child import call_in_child

_FORMATS = ".mat (key net), .csv, .tsv or .txt edge list (also .gz), SciPy .npz, PyG .pt"
_WIDEST_GAP = 100  # nodes a used id; beyond it the ids are names, not numbers 0 to N - 1
_PATIENCE = 600  # seconds for a MATLAB file
_SMALL = 1_000_000  # nodes that any machine can hold


@dataclass(frozen=True)
class RawGraph:
    """What a file says: edges (2, M) int64, the number of nodes if it says one, features, notes."""

    edges: Tensor
    num_nodes: int | None = None
    features: Tensor | None = None
    notes: tuple[str, ...] = ()


def edge_file(
    *, path: Text, features: Text | None, num_nodes: PositiveInt | None = None, split: RandomSplit
) -> LinkData:
    """Read a graph; taken as simple and undirected: repeats and reversed copies are merged.

    Args:
        path: a SciPy sparse adjacency matrix (`.npz`, or `.mat` with key `net`), an edge list
            (`.csv`, `.tsv`, `.txt`, each with or without header or `.gz`; two columns of ids from
            0), or a PyG `Data` (`.pt`).
        features: a row a node, `.npy`, SciPy `.npz`, `.csv` or `.pt` tensor. Without features
            every node learns an embedding.
        num_nodes: of the graph, where the file does not say it; None is the highest id and one.

    Raises:
        RunnerError: if a file is missing, damaged or makes no sense; names the key and the remedy.
    """
    file = existing_file("dataset.path", path)
    raw = _reader(file)(file)
    if num_nodes is not None and raw.num_nodes not in (None, num_nodes):
        raise RunnerError(
            f"dataset.num_nodes={num_nodes}: {file} says that there are {raw.num_nodes}; "
            "leave it out"
        )
    edges, num_nodes = _checked(file, raw, num_nodes)
    loops = int((edges[0] == edges[1]).sum())
    notes = [*raw.notes, f"dropped {loops} self-loops"] if loops else list(raw.notes)
    given = raw.features
    if features is not None:
        given = read_features(existing_file("dataset.features", features))
    if given is not None:
        given = checked_features(features or path, given, num_nodes)
    train, valid, test = split.split(edges, num_nodes)
    return link_data(
        num_nodes=num_nodes, features=given, train=train, valid=valid, test=test, notes=notes
    )


def _reader(file: Path) -> Callable[[Path], RawGraph]:
    name = file.name.lower().removesuffix(".gz")
    readers = {".mat": _read_mat, ".npz": _read_npz, ".pt": _read_pt}
    readers |= dict.fromkeys((".csv", ".tsv", ".txt"), _read_text)
    suffix = Path(name).suffix
    if suffix not in readers or (suffix in (".mat", ".npz", ".pt") and name != file.name.lower()):
        raise RunnerError(f"dataset.path={file}: unknown kind of file; known: {_FORMATS}")
    return readers[suffix]


def _from_adjacency(matrix: object) -> RawGraph:
    import scipy.sparse

    sparse = scipy.sparse.coo_array(sound(matrix))
    if sparse.ndim != 2 or sparse.shape[0] != sparse.shape[1]:
        raise ValueError(f"an adjacency matrix is square, this one is {sparse.shape}")
    if sparse.dtype.kind not in "biuf" or np.isnan(sparse.data).any():
        raise ValueError("an adjacency matrix holds real numbers, this one does not")
    sparse.eliminate_zeros()
    edges = torch.from_numpy(np.stack([sparse.row, sparse.col]).astype(np.int64))
    return RawGraph(edges, num_nodes=int(sparse.shape[0]))


def _read_mat(file: Path) -> RawGraph:
    from runner.data.matlab_raw import read_matrix

    try:
        content = call_in_child(read_matrix, str(file), "net", seconds=_PATIENCE)
        return _read_matrix(io.BytesIO(content))
    except RunnerError:
        raise
    except Exception as error:  # damaged files fail in many types
        raise damaged("dataset.path", file, error) from None


def _read_npz(file: Path) -> RawGraph:
    try:
        with open(file, "rb") as stream:
            return _read_matrix(stream)
    except Exception as error:  # damaged files fail in many types
        raise damaged("dataset.path", file, error) from None


def _read_matrix(stream: BinaryIO) -> RawGraph:
    import scipy.sparse

    return _from_adjacency(scipy.sparse.load_npz(stream))


def _read_pt(file: Path) -> RawGraph:
    data = load_pt("dataset.path", file)
    stored: dict[str, object] = {}
    with contextlib.suppress(Exception):  # something else, or a damaged Data
        stored = dict(vars(data)["_store"])
    edges, features, nodes = (stored.get(key) for key in ("edge_index", "x", "num_nodes"))
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
    return RawGraph(edges.to(torch.int64), num_nodes=nodes, features=features)


def _is_matrix(x: object) -> TypeGuard[Tensor]:
    return is_plain(x) and x.layout == torch.strided and x.dim() == 2


def _read_text(file: Path) -> RawGraph:
    import pandas

    try:
        table = pandas.read_csv(
            file,
            sep=r"[,;\s]+",
            engine="python",
            header=None,
            dtype=str,
            comment="#",
            encoding="utf-8-sig",
            keep_default_na=False,
        )
    except pandas.errors.EmptyDataError:
        raise RunnerError(f"dataset.path={file}: the file holds no edges") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise damaged("dataset.path", file, error) from None
    if table.shape[1] < 2:
        raise RunnerError(f"dataset.path={file}: an edge list has two columns of node ids")
    extra = table.shape[1] - 2
    table = table.iloc[:, :3].apply(lambda column: column.fillna("").str.strip("\"'"))
    unnamed = extra > 0 and table.iloc[0, 0] == ""  # an index column, as pandas writes it
    ends = table.iloc[:, 1:3] if unnamed else table.iloc[:, :2]
    # The first line is a header if neither of its cells is a number.
    header = int(pandas.to_numeric(ends.iloc[0], errors="coerce").isna().all())
    ends = ends.iloc[header:]
    if ends.empty:
        raise RunnerError(f"dataset.path={file}: the file holds a header and no edges")
    numbers = ends.apply(pandas.to_numeric, errors="coerce")
    wrong = (numbers.isna() | (numbers % 1 != 0) | (numbers.abs() >= 2**62)).to_numpy()
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise RunnerError(
            f"dataset.path={file}: {ends.iloc[row, column]!r} (edge {row + 1}) is no node id; ids "
            "are whole numbers from 0: number your nodes first"
        )
    which = "the second and third column" if unnamed else "the first two columns"
    notes = (f"read {which} as node ids, ignored {extra} more",) if extra else ()
    return RawGraph(torch.from_numpy(numbers.to_numpy(dtype=np.int64).T.copy()), notes=notes)


def _checked(file: Path, raw: RawGraph, given_nodes: int | None) -> tuple[Tensor, int]:
    if raw.edges.numel() == 0:
        raise RunnerError(f"dataset.path={file}: the graph has no edges")
    low, high = (int(bound) for bound in raw.edges.aminmax())
    if low < 0:
        raise RunnerError(f"dataset.path={file}: {low} is no node id; ids start from 0")
    num_nodes = raw.num_nodes or given_nodes or high + 1
    if high >= num_nodes:
        raise RunnerError(f"dataset.path={file}: node id {high} in a graph of {num_nodes} nodes")
    used = torch.unique(raw.edges).numel()
    if num_nodes > _SMALL and num_nodes > _WIDEST_GAP * used:
        if num_nodes > high + 1:
            raise RunnerError(
                f"dataset.path={file}: a graph of {num_nodes} nodes, but only {used} of them have "
                "an edge; is dataset.num_nodes, or what the file says, right?"
            )
        raise RunnerError(
            f"dataset.path={file}: ids reach {high}, but only {used} of them are used; ids are "
            "numbers from 0 to the number of nodes: renumber your nodes"
        )
    return raw.edges, num_nodes
