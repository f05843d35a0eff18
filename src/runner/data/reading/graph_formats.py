"""Files of graph programs, read by libraries: GML, GraphML, GEXF, Pajek, MatrixMarket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runner.data.reading.array_files import from_adjacency
from runner.data.reading.raw_graph import RawGraph
from runner.data.reading.user_file import damaged
from runner.errors import RunnerError


def _read_gml(file: Path) -> Any:
    import networkx

    try:
        return networkx.read_gml(file)
    except networkx.NetworkXError as error:
        if "label" not in str(error):
            raise
        return networkx.read_gml(file, label="id")


def _read_graphml(file: Path) -> Any:
    import networkx

    return networkx.read_graphml(file)


def _read_gexf(file: Path) -> Any:
    import networkx

    return networkx.read_gexf(file)


def _read_pajek(file: Path) -> Any:
    import networkx

    lines = file.read_bytes().decode("utf-8-sig").splitlines()
    counts = [int(line.split()[1]) for line in lines if line.lower().startswith("*vertices")]
    graph = networkx.parse_pajek(list(_simple_pajek(lines)))
    if counts != [len(graph)]:
        raise RunnerError(
            f"dataset.path={file}: it says {sum(counts)} vertices, and has {len(graph)} by their "
            "labels; give each vertex a label of its own, and save one network alone"
        )
    return graph


def _simple_pajek(lines: Sequence[str]) -> Iterator[str]:
    """Without what networkx takes as links: comments, names of relations, lists of neighbours."""
    section = ""
    for line in lines:
        words = line.split()
        if not words or line.startswith(("%", "/*")):
            continue
        if line.startswith("*"):
            section = words[0].lower()
            is_list = section in ("*edgeslist", "*arcslist")
            links = section.removesuffix("list") if is_list else words[0]
            yield links if section.startswith(("*edges", "*arcs")) else line
        elif section in ("*edgeslist", "*arcslist"):
            yield from (f"{words[0]} {other}" for other in words[1:])
        else:
            yield line


_READERS: dict[str, Callable[[Path], Any]] = {
    ".gml": _read_gml, ".graphml": _read_graphml, ".gexf": _read_gexf, ".net": _read_pajek,
}  # fmt: skip
SUFFIXES = (*_READERS, ".mtx")


def read(file: Path) -> RawGraph:
    """Read one of these files, chosen by its suffix.

    Raises:
        RunnerError: if it is damaged or of another kind.
    """
    suffix = file.suffix.lower()
    try:
        return _read_mtx(file) if suffix == ".mtx" else _from_networkx(_READERS[suffix](file))
    except RunnerError:
        raise
    except Exception as error:  # parsers fail in many types
        raise damaged("dataset.path", file, error) from None


def _from_networkx(graph: Any) -> RawGraph:
    index = {node: number for number, node in enumerate(graph.nodes)}
    pairs = [(index[u], index[v]) for u, v in graph.edges()]
    edges = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    names = np.array([str(node) for node in index], dtype=object)
    facts = {"directed in the file": bool(graph.is_directed())}
    return RawGraph(edges, len(index), names=names, facts=facts)


def _read_mtx(file: Path) -> RawGraph:
    import scipy.io

    if scipy.io.mminfo(file)[3] == "array":
        _require_all_entries(file)
    return from_adjacency(scipy.io.mmread(file))


def _require_all_entries(file: Path) -> None:
    """SciPy takes entries that are missing at the end of a dense matrix as zeros."""
    import scipy.io

    rows, columns, _, _, _, symmetry = scipy.io.mminfo(file)
    wanted = {
        "general": rows * columns, "symmetric": rows * (rows + 1) // 2,
        "hermitian": rows * (rows + 1) // 2, "skew-symmetric": rows * (rows - 1) // 2,
    }[symmetry]  # fmt: skip
    lines = file.read_bytes().splitlines()
    found = sum(1 for line in lines if line.strip() and not line.startswith(b"%")) - 1
    if found != wanted:
        raise ValueError(f"{found} entries of {wanted}")
