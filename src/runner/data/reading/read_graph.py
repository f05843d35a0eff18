"""A user's files, read as the keys and the conventions say, into a graph with numbered nodes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow
import torch
from torch import Tensor

from runner.data.given_split import cut
from runner.data.reading import array_files, graph_formats, sides
from runner.data.reading.distinct_ids import distinct
from runner.data.reading.feature_file import checked_features
from runner.data.reading.given_parts import read_parts
from runner.data.reading.graph_cache import Names, UserGraph
from runner.data.reading.node_features import with_features
from runner.data.reading.raw_graph import RawGraph, TableKeys
from runner.data.reading.user_file import damaged, existing_file
from runner.data.whole_graph import WholeGraph
from runner.errors import RunnerError
from runner.machine.child import call_in_child
from runner.ops.csr import Graph

_WIDEST_GAP = 100  # nodes a used id; beyond it a number of nodes is a mistake
_SMALL = 1_000_000  # nodes that any machine can hold
_BLOCK = 1 << 22  # rows that are looked up together, in memory that does not grow with the file
_PATIENCE = 600  # seconds for a MATLAB file
_FORMATS = (
    "text with a link in each row (.csv, .tsv, .txt, .edges, out.*, …; also .gz, .bz2, .xz, .zst), "
    "Parquet, Arrow (.feather, .arrow), "
    ".mat, SciPy .npz, PyG .pt, .mtx, .gml, .graphml, .gexf, Pajek .net"
)


@dataclass(frozen=True)
class Given:
    """What the user gave: files and keys.

    Attributes:
        parts: files of a split, by their key below `dataset`; `file` has the training links then.
        key: of the matrix or array in a file of several.
        bins: that numbers of nodes are put into when the split is known.
    """

    file: Path
    table: TableKeys = field(default_factory=TableKeys)
    parts: Mapping[str, Path] = field(default_factory=dict)
    features: str | None = None
    nodes: str | None = None
    num_nodes: int | None = None
    key: str | None = None
    directed: bool | None = None
    bins: int | None = None

    @property
    def inputs(self) -> dict[str, Path]:
        """All files, by their keys."""
        further = {"dataset.features": self.features, "dataset.nodes": self.nodes}
        tables = {what: existing_file(what, path) for what, path in further.items() if path}
        return {"dataset.path": self.file, **tables, **self.parts}

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides how they are read, as JSON takes it."""
        keys = {"num_nodes": self.num_nodes, "key": self.key, "directed": self.directed}
        return {"inputs": list(self.inputs), **keys, "bins": self.bins, **vars(self.table)}


def read_graph(given: Given) -> UserGraph:
    """Read the files, number the nodes, and count what is no link of its own.

    Raises:
        RunnerError: if a file is damaged or makes no sense; names the key and the remedy.
    """
    file, directed = given.file, given.directed
    raw = read_parts(lambda part: read_raw(part, given.key, given.table), file, given.parts)
    raw = sides.with_sides(file, raw, given.table, directed, given.num_nodes)
    sides.refuse_shared_names(raw, given.features, "dataset.features")
    sides.refuse_shared_names(raw, given.nodes, "dataset.nodes")
    raw, features = with_features(
        file, raw, given.features, given.nodes, given.num_nodes, given.bins
    )
    if raw.num_nodes is None:
        raw = replace(raw, num_nodes=_highest(raw.edges, given.num_nodes))
    assert raw.num_nodes is not None
    edges = _checked(file, raw.edges, raw.num_nodes)
    if features is not None and given.nodes is None:
        features = checked_features(given.features or str(file), features, raw.num_nodes)
    edges, parts = cut(edges, raw.parts, raw.num_nodes, directed=bool(directed))
    whole = WholeGraph.of(
        edges,
        raw.num_nodes,
        directed=bool(directed),
        num_sources=raw.num_sources,
        times=raw.times,
        untimed=raw.untimed,
        parts=parts,
    )
    counted = _count(edges, whole)
    notes = [*raw.notes, *_words(whole, counted)]
    if given.table.bipartite is None and "columns" in raw.facts and _are_apart(edges, whole):
        notes.append(
            "no node is both a source and a target: if these are two kinds of nodes, say "
            "dataset.bipartite=true, and negatives are pairs across"
        )
    return UserGraph(
        whole,
        features,
        names=None if raw.names is None else Names.of(raw.names),
        notes=tuple(notes),
        facts={**raw.facts, **counted},
        standardised=raw.standardised,
    )


def read_raw(file: Path, key: str | None, keys: TableKeys) -> RawGraph:
    """What a file says, of any known kind; nodes are not numbered yet.

    Raises:
        RunnerError: if it is damaged, of an unknown kind, or can be read in two ways.
    """
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
        b"\x93NUMPY": "a NumPy array (np.savez makes an .npz of it)",
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
    ordered = rows.shape[1] - loops
    if ordered != edges:
        ordered = _distinct(rows, whole.graph)
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


def _distinct(rows: Tensor, graph: Graph) -> int:
    """Ordered pairs, each once, self-loops left out.

    A pair that two rows have, in either direction, has two ends with fewer neighbours than rows;
    only rows between such nodes are looked up.
    """
    loops = rows[0, rows[0] == rows[1]]
    counts = [torch.bincount(ends, minlength=graph.num_nodes) for ends in (*rows, loops)]
    repeats = counts[0] + counts[1] - 2 * counts[2] != graph.degree()
    seen = torch.zeros(graph.num_entries, dtype=torch.bool)
    once = 0
    for some in rows.split(_BLOCK, dim=1):
        is_link = some[0] != some[1]
        asked = is_link & repeats[some[0]] & repeats[some[1]]
        seen[graph.find(some[:, asked])] = True
        once += int((is_link & ~asked).sum())
    return once + int(seen.sum())


def _are_apart(edges: Tensor, whole: WholeGraph) -> bool:
    """Whether the ends of all links are of two sets."""
    if whole.directed:
        return False
    sides = torch.zeros(2, whole.num_nodes, dtype=torch.bool)
    for side, end in zip(sides, edges, strict=True):
        side[end] = True
    return not bool((sides[0] & sides[1]).any()) and bool((sides.sum(dim=1) > 1).all())


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


def _highest(edges: Tensor, num_nodes: int | None) -> int:
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
        raise RunnerError(
            f"dataset.path={file}: node id {high} in a graph of {num_nodes} nodes; is "
            "dataset.num_nodes, or what the file says, right?"
        )
    if num_nodes <= _SMALL:
        return edges
    used = len(distinct(edges.numpy()))
    if num_nodes > _WIDEST_GAP * used:
        raise RunnerError(
            f"dataset.path={file}: a graph of {num_nodes} nodes, but only {used} of them have "
            "an edge; is dataset.num_nodes, or what the file says, right?"
        )
    return edges
