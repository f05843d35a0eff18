"""A user's own graph, from a file of edges and an optional file of node features."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pyarrow
import torch
from torch import Tensor

from runner.data.given_split import cut
from runner.data.link_data import LinkData
from runner.data.reading import array_files, graph_formats, sides
from runner.data.reading.distinct_ids import distinct
from runner.data.reading.feature_file import checked_features
from runner.data.reading.given_parts import part_files, read_parts
from runner.data.reading.graph_cache import Names, UserGraph, read_once
from runner.data.reading.node_features import with_features
from runner.data.reading.raw_graph import RawGraph, TableKeys
from runner.data.reading.user_file import damaged, existing_file
from runner.data.whole_graph import LinkSplit, WholeGraph, split_data
from runner.errors import RunnerError
from runner.keys import NO_COLUMNS, Before, Effect, PositiveInt, Text
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
    path: Annotated[Text, Effect.SOURCE],
    features: Annotated[Text | None, Effect.SOURCE],
    nodes: Annotated[Text | None, Effect.SOURCE, Before(None)] = None,
    num_nodes: PositiveInt | None = None,
    columns: Annotated[Mapping[str, Text | int | None] | None, Before(NO_COLUMNS)] = None,
    header: Annotated[bool | None, Before(None)] = None,
    separator: Annotated[str | None, Before(None)] = None,
    encoding: Annotated[str | None, Before(None)] = None,
    key: Annotated[Text | None, Before(None)] = None,
    directed: Annotated[bool | None, Before(None)] = None,
    bipartite: Annotated[bool | None, Before(None)] = None,
    cache: Annotated[Text | None, Effect.PLACE, Before(None)] = None,
    valid: Annotated[Text | None, Before(None)] = None,
    test: Annotated[Text | None, Before(None)] = None,
    valid_negatives: Annotated[Text | None, Before(None)] = None,
    test_negatives: Annotated[Text | None, Before(None)] = None,
    split: LinkSplit,
) -> LinkData:
    """Read a graph; taken as simple and undirected unless `directed`.

    Args:
        path: a text with a link in each row, or one of the other kinds that `_FORMATS` lists.
        features: a row of numbers for each node, taken as they are: `.npy`, SciPy `.npz` or a
            `.pt` tensor, or a table, whose rows are joined by the nodes' ids where a column has
            them. Without features every node learns an embedding.
        nodes: the same, its numbers standardised and its categories one-hot.
        num_nodes: of the graph, where nodes without a link are more than the file has.
        columns: of a table: names, or numbers from 0, of `source`, `target`, `weight`, `time`.
        header, separator, encoding: of a table; None is found out.
        key: of the matrix or array, in a `.mat` or `.npz` with several.
        directed: links are ordered pairs; else reversed copies are merged.
        bipartite: True: sources and targets are two kinds of nodes, whatever their ids; False: two
            columns of different kinds hold the same nodes.
        cache: folder that keeps what was read, for later runs; None keeps nothing.
        valid, test: files of these links, where `path` has those of training alone.
        valid_negatives, test_negatives: files of pairs to score them against.

    Raises:
        RunnerError: if a file is missing, damaged or makes no sense; names the key and the remedy.
    """
    file = existing_file("dataset.path", path)
    keys = TableKeys(columns or {}, header, separator, encoding, bipartite)
    further = {"dataset.features": features, "dataset.nodes": nodes}
    tables = {what: existing_file(what, given) for what, given in further.items() if given}
    parts = part_files(
        file, valid=valid, test=test,
        valid_negatives=valid_negatives, test_negatives=test_negatives,
    )  # fmt: skip
    settings = {
        "num_nodes": num_nodes, "key": key, "directed": directed, "tables": list(tables),
        "parts": list(parts), **vars(keys),
    }  # fmt: skip
    graph = read_once(
        cache,
        [file, *tables.values(), *parts.values()],
        settings,
        lambda: _read_graph(file, parts, keys, key, directed, features, nodes, num_nodes),
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
    parts: Mapping[str, Path],
    keys: TableKeys,
    key: str | None,
    directed: bool | None,
    features: str | None,
    nodes: str | None,
    num_nodes: int | None,
) -> UserGraph:
    raw = read_parts(lambda part: _read(part, key, keys), file, parts)
    raw = sides.with_sides(file, raw, keys, directed, num_nodes)
    sides.refuse_shared_names(raw, features or nodes)
    raw, given = with_features(file, raw, features, nodes, num_nodes)
    if raw.num_nodes is None:
        raw = replace(raw, num_nodes=_highest(file, raw.edges, num_nodes))
    assert raw.num_nodes is not None
    edges = _checked(file, raw.edges, raw.num_nodes)
    if given is not None:
        given = checked_features(features or str(file), given, raw.num_nodes)
    edges, given_parts = cut(edges, raw.parts, raw.num_nodes, directed=bool(directed))
    whole = WholeGraph.of(
        edges,
        raw.num_nodes,
        directed=bool(directed),
        num_sources=raw.num_sources,
        times=raw.times,
        untimed=raw.untimed,
        parts=given_parts,
    )
    counted = _count(edges, whole)
    return UserGraph(
        whole,
        given,
        names=None if raw.names is None else Names.of(raw.names),
        notes=(*raw.notes, *_words(whole, counted)),
        facts={**raw.facts, **counted},
    )


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
    from runner.data.reading.edge_table import read_edge_table

    raw = read_edge_table(file, keys)
    pyarrow.default_memory_pool().release_unused()  # as much as the text again, of a large one
    return raw


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
    lines = []
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

    from runner.data.reading.matlab_raw import read_matrix

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
