"""A user's own graph, from a file of edges and an optional file of node features."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from runner.data import array_files, feature_file, graph_formats, sides
from runner.data.distinct_ids import distinct, places
from runner.data.feature_file import checked_features
from runner.data.graph_cache import Names, UserGraph, read_once
from runner.data.link_data import LinkData
from runner.data.raw_graph import RawGraph, TableKeys
from runner.data.user_file import damaged, existing_file
from runner.data.whole_graph import LinkSplit, WholeGraph, split_data
from runner.errors import RunnerError
from runner.keys import NO_COLUMNS, Before, Folder, PositiveInt, Text
from runner.machine.child import call_in_child

_WIDEST_GAP = 100  # nodes a used id; beyond it a number of nodes is a mistake
_SMALL = 1_000_000  # nodes that any machine can hold
_PATIENCE = 600  # seconds for a MATLAB file
_FORMATS = (
    "text with a link in each row (.csv, .tsv, .txt, .edges, out.*, …; also .gz, .bz2, .xz, .zst), "
    "Parquet, Arrow (.feather, .arrow), "
    ".mat, SciPy .npz, PyG .pt, .mtx, .gml, .graphml, .gexf, Pajek .net"
)


def edge_file(
    *,
    path: Text,
    features: Text | None,
    num_nodes: PositiveInt | None = None,
    columns: Annotated[Mapping[str, Text | int | None] | None, Before(NO_COLUMNS)] = None,
    header: Annotated[bool | None, Before(None)] = None,
    separator: Annotated[str | None, Before(None)] = None,
    encoding: Annotated[str | None, Before(None)] = None,
    key: Annotated[Text | None, Before(None)] = None,
    directed: Annotated[bool | None, Before(None)] = None,
    bipartite: Annotated[bool | None, Before(None)] = None,
    cache: Annotated[Folder | None, Before(None)] = None,
    split: LinkSplit,
) -> LinkData:
    """Read a graph; taken as simple and undirected unless `directed`.

    Args:
        path: a text with a link in each row, or one of the other kinds that `_FORMATS` lists.
        features: a row for each node: `.npy`, SciPy `.npz` or a `.pt` tensor, or a table in text,
            whose rows are joined by the nodes' ids where a column has them. Without features
            every node learns an embedding.
        num_nodes: of the graph, where nodes without a link are more than the file has.
        columns: of a table: names, or numbers from 0, of `source`, `target`, `weight`, `time`.
        header, separator, encoding: of a table; None is found out.
        key: of the matrix or array, in a `.mat` or `.npz` with several.
        directed: links are ordered pairs; else reversed copies are merged.
        bipartite: True: sources and targets are two kinds of nodes, whatever their ids; False: two
            columns of different kinds hold the same nodes.
        cache: folder that keeps what was read, for later runs; None keeps nothing.

    Raises:
        RunnerError: if a file is missing, damaged or makes no sense; names the key and the remedy.
    """
    file = existing_file("dataset.path", path)
    keys = TableKeys(columns or {}, header, separator, encoding, bipartite)
    inputs = [file] if features is None else [file, existing_file("dataset.features", features)]
    settings = {"num_nodes": num_nodes, "key": key, "directed": directed, **vars(keys)}
    graph = read_once(
        cache, inputs, settings, lambda: _read_graph(file, keys, key, directed, features, num_nodes)
    )
    return split_data(
        graph.whole,
        split,
        features=graph.features,
        names=graph.names,
        notes=graph.notes,
        facts=graph.facts,
    )


def _read_graph(
    file: Path,
    keys: TableKeys,
    key: str | None,
    directed: bool | None,
    features: str | None,
    num_nodes: int | None,
) -> UserGraph:
    raw = sides.with_sides(file, _read(file, key, keys), keys, directed, num_nodes)
    sides.refuse_shared_names(raw, features)
    raw, given = _with_features(file, raw, features, num_nodes)
    if raw.num_nodes is None:
        raw = replace(raw, num_nodes=_highest(file, raw.edges, num_nodes))
    assert raw.num_nodes is not None
    edges = _checked(file, raw.edges, raw.num_nodes)
    if given is not None:
        given = checked_features(features or str(file), given, raw.num_nodes)
    whole = WholeGraph.of(
        edges, raw.num_nodes, directed=bool(directed), num_sources=raw.num_sources, times=raw.times
    )
    counted = _count(edges, whole)
    return UserGraph(
        whole,
        given,
        names=None if raw.names is None else Names.of(raw.names),
        notes=(*raw.notes, *_words(whole, counted)),
        facts={**raw.facts, **counted},
    )


def _with_features(
    file: Path, raw: RawGraph, features: str | None, num_nodes: int | None
) -> tuple[RawGraph, Tensor | None]:
    """The graph with its nodes numbered, and their features in that order."""
    origin = None if features is None else existing_file("dataset.features", features)
    if origin is None or not feature_file.is_table(origin):
        given = raw.features if origin is None else feature_file.read_features(origin)
        rows = len(given) if given is not None and given.dim() > 0 else None
        return number_nodes(file, raw, num_nodes, rows), given
    from runner.data.node_table import joined, read_node_table

    table = read_node_table(origin, _node_names(raw, num_nodes))
    if table.ids is None:
        raw = number_nodes(file, raw, num_nodes, len(table.values))
        return replace(raw, notes=(*raw.notes, *table.notes)), table.values
    raw = number_nodes(file, _with_nodes(raw, table.ids.tolist(), num_nodes), num_nodes, None)
    raw = replace(raw, notes=(*raw.notes, *table.notes))
    return raw, joined(origin, table, _node_names(raw, num_nodes))


def _node_names(raw: RawGraph, num_nodes: int | None) -> list[str]:
    if raw.names is not None:
        return [str(name) for name in raw.names]
    if raw.ids is not None:
        return [str(number) for number in raw.ids.tolist()]
    highest = int(raw.edges.max()) + 1 if raw.edges.numel() else 0
    return [str(number) for number in range(raw.num_nodes or num_nodes or highest)]


def _with_nodes(raw: RawGraph, ids: list[str], num_nodes: int | None) -> RawGraph:
    """With the nodes that only a node table has, which have no link."""
    known = set(_node_names(raw, num_nodes))
    new = [name for name in ids if name not in known]
    if not new or (raw.names is None and raw.ids is None):
        return raw
    note = f"{len(new)} nodes of the node table have no link"
    raw = replace(raw, notes=(*raw.notes, note))
    if raw.ids is not None and all(name.isdecimal() for name in new):
        return replace(raw, ids=np.union1d(raw.ids, np.array(new, dtype=np.int64)))
    names = np.array([*_node_names(raw, num_nodes), *new], dtype=object)
    edges = raw.edges
    if raw.ids is not None:
        edges = torch.from_numpy(np.searchsorted(raw.ids, edges.numpy()))
    return replace(raw, edges=edges, ids=None, names=names, num_nodes=len(names))


def _read(file: Path, key: str | None, keys: TableKeys) -> RawGraph:
    suffix = file.suffix.lower()
    if key is not None and suffix not in (".mat", ".npz"):
        raise RunnerError(f"dataset.key={key}: {file} has no keys; leave it out")
    if suffix == ".mat":
        return _read_mat(file, key)
    if suffix == ".npz":
        return array_files.read_npz(file, key)
    if suffix in (".pt", ".pth"):
        return array_files.read_pt(file)
    if suffix in graph_formats.SUFFIXES:
        return graph_formats.read(file)
    kind = _binary_kind(file)
    if kind is not None:
        raise RunnerError(f"dataset.path={file}: {kind} is no kind that is read; known: {_FORMATS}")
    from runner.data.edge_table import read_edge_table

    return read_edge_table(file, keys)


def _binary_kind(file: Path) -> str | None:
    """What a file is that no reader knows, told by its first bytes."""
    with open(file, "rb") as stream:
        begin = stream.read(8)
    kinds = {
        b"PK": "a zip archive (or Excel's .xlsx)",
        b"%PDF": "a PDF",
        b"SQLite": "an SQLite database",
        b"\x89HDF": "HDF5",
        b"\x80\x02": "a pickle", b"\x80\x03": "a pickle", b"\x80\x04": "a pickle",
        b"\x80\x05": "a pickle",
    }  # fmt: skip
    return next((kind for mark, kind in kinds.items() if begin.startswith(mark)), None)


def number_nodes(
    file: Path, raw: RawGraph, num_nodes: int | None, feature_rows: int | None
) -> RawGraph:
    """Numbers from 0 in the place of ids: in ascending order, so that 0…N-1 stay themselves.

    Ids stay themselves too where `num_nodes` or the rows of features say that every number below
    is a node.
    """
    if raw.names is not None and feature_rows is not None:
        raise RunnerError(
            f"dataset.features: which row is of which node? The nodes in {file} have names; give a "
            "table (.csv) with a column of these names"
        )
    if raw.names is not None or raw.ids is None:
        if num_nodes is None or raw.num_nodes in (None, num_nodes):
            return raw
        assert raw.num_nodes is not None
        if raw.names is None or num_nodes < raw.num_nodes:
            raise RunnerError(
                f"dataset.num_nodes={num_nodes}: {file} says that there are {raw.num_nodes}; "
                "leave it out"
            )
        alone = [f"(no name) {number}" for number in range(raw.num_nodes, num_nodes)]
        return replace(raw, num_nodes=num_nodes, names=np.append(raw.names, alone))
    if not len(raw.ids):
        return raw
    low, high, count = int(raw.ids[0]), int(raw.ids[-1]), len(raw.ids)
    wanted = num_nodes or (feature_rows if feature_rows == high + 1 else None)
    if low >= 0 and (high == count - 1 or (wanted is not None and high < wanted)):
        return replace(raw, num_nodes=wanted or count, ids=None)
    if wanted is not None and wanted < count:
        raise RunnerError(
            f"dataset.num_nodes={wanted}: {file} has links of {count} nodes; leave it out"
        )
    if feature_rows is not None:
        raise RunnerError(
            f"dataset.features: which row is of which node? The ids in {file} are {count} numbers "
            f"from {low} to {high}, not 0 to {count - 1}; give a table (.csv) with a column of ids"
        )
    total = max(count, wanted or 0)
    names = [*map(str, raw.ids.tolist()), *(f"(no name) {n}" for n in range(count, total))]
    edges = torch.from_numpy(places(raw.ids, raw.edges.numpy()))
    note = f"numbered the {count} ids, {low} to {high}, in their order"
    return replace(
        raw, edges=edges, num_nodes=total, ids=None, names=np.array(names, dtype=object),
        notes=(*raw.notes, note), facts={**raw.facts, "ids renumbered": True},
    )  # fmt: skip


def _count(rows: Tensor, whole: WholeGraph) -> dict[str, int | bool]:
    """Nodes and links, and what of the rows is no link of its own."""
    n, edges = whole.num_nodes, whole.graph.num_entries // 2
    loops = int((rows[0] == rows[1]).sum())
    seen = torch.zeros(whole.graph.num_entries + 1, dtype=torch.bool)
    seen[whole.graph.find(rows)] = True  # a self-loop marks the last one
    ordered = int(seen[:-1].sum())
    kinds: dict[str, int | bool] = {"directed": True} if whole.directed else {}
    if whole.num_sources is not None:
        kinds = {"sources": whole.num_sources, "targets": n - whole.num_sources}
    return {
        "nodes": n,
        "links": whole.num_links,
        **kinds,
        "rows": rows.shape[1],
        "self-loops dropped": loops,
        "repeats dropped": rows.shape[1] - loops - ordered,
        "one-way pairs": 2 * edges - ordered,
    }


def _words(whole: WholeGraph, counted: Mapping[str, int | bool]) -> list[str]:
    links, loops = counted["links"], counted["self-loops dropped"]
    kind = "directed" if whole.directed else "undirected"
    lines = [f"{counted['nodes']} nodes, {links} links, {kind} and unweighted"]
    if whole.num_sources is not None:
        lines.append(f"bipartite: {counted['sources']} sources and {counted['targets']} targets")
    if whole.directed:
        lines.append(
            "ordered pairs are split and scored; message passing uses both directions of a link"
        )
    if loops:
        lines.append(f"dropped {loops} self-loops")
    if counted["repeats dropped"]:
        lines.append(f"dropped {counted['repeats dropped']} repeated rows")
    is_told = whole.directed or whole.num_sources is not None
    if not is_told and 0 < counted["one-way pairs"] < links:
        lines.append(f"directions are not used: {counted['one-way pairs']} pairs have one alone")
    return lines


def _read_mat(file: Path, key: str | None) -> RawGraph:
    import scipy.sparse

    from runner.data.matlab_raw import read_matrix

    try:
        content = call_in_child(read_matrix, str(file), key or "", seconds=_PATIENCE)
        return array_files.from_adjacency(scipy.sparse.load_npz(io.BytesIO(content)))
    except RunnerError:
        raise
    except Exception as error:  # damaged files fail in many types
        raise damaged("dataset.path", file, error) from None


def _highest(file: Path, edges: Tensor, num_nodes: int | None) -> int:
    if num_nodes is not None:
        return num_nodes
    return int(edges.max()) + 1 if edges.numel() else 0


def _checked(file: Path, edges: Tensor, num_nodes: int) -> Tensor:
    if edges.numel() == 0:
        raise RunnerError(f"dataset.path={file}: the graph has no edges")
    low, high = (int(bound) for bound in edges.aminmax())
    if low < 0:
        raise RunnerError(f"dataset.path={file}: {low} is no node id; ids start from 0")
    if high >= num_nodes:
        raise RunnerError(f"dataset.path={file}: node id {high} in a graph of {num_nodes} nodes")
    if num_nodes <= _SMALL:
        return edges
    used = len(distinct(edges.numpy()))
    if num_nodes > _WIDEST_GAP * used:
        raise RunnerError(
            f"dataset.path={file}: a graph of {num_nodes} nodes, but only {used} of them have "
            "an edge; is dataset.num_nodes, or what the file says, right?"
        )
    return edges
