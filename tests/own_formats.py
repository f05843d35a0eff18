"""Graphs as programs write them: adjacency lists, matrices, and the files of libraries."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random
from typing import Any

import networkx
import numpy as np
import scipy.io
import scipy.sparse
import torch
from tests.own_graphs import OwnFile, OwnGraph, Truth, own_graph
from torch_geometric.data import Data
from torch_geometric.transforms import ToUndirected

_GMT = ("#-", "# GMT Mon Nov 30 02:24:59 2026", "# ")
_PLAIN_IDS = ("from 0", "from 1", "gaps", "letters", "big")


def _neighbours(graph: OwnGraph) -> list[list[str]]:
    """A line for each node: its name, and those of its neighbours."""
    lines = [[name] for name in graph.names]
    for u, v in graph.links:
        lines[u].append(graph.names[v])
        lines[v].append(graph.names[u])
    return lines


def _text(lines: list[list[str]], separator: str, before: tuple[str, ...] = ()) -> bytes:
    return "\n".join([*before, *(separator.join(line) for line in lines), ""]).encode()


def adjacency_list(rng: Random) -> OwnFile:
    graph = own_graph(rng, rng.choice(_PLAIN_IDS))
    lines = _neighbours(graph)
    lines = lines if rng.random() < 0.5 else rng.sample(lines, len(lines))
    content = _text(lines, rng.choice((" ", "\t", ",", ";")))
    return OwnFile("adjacency list, both ways", "own.adjlist", content, graph.truth)


def networkx_list(rng: Random) -> OwnFile:
    graph = own_graph(rng, rng.choice(_PLAIN_IDS))
    made = networkx.Graph()
    made.add_nodes_from(graph.names)
    made.add_edges_from((graph.names[u], graph.names[v]) for u, v in graph.links)
    said = rng.random() < 0.7
    if said and rng.random() < 0.3:
        content = _text([[line] for line in networkx.generate_multiline_adjlist(made)], " ", _GMT)
        return OwnFile("networkx's multiline list", "own.txt", content, graph.truth, False)
    lines = [line.split() for line in networkx.generate_adjlist(made)]
    content = _text(lines, " ", _GMT if said else ())
    return OwnFile("adjacency list, networkx's", "own.txt", content, graph.truth, said)


def _ring(rng: Random, chords: int) -> OwnGraph:
    count = rng.randint(12, 30)
    links = {(n, n + 1) for n in range(count - 1)} | {(0, count - 1)}
    links |= {(0, count // 2 + n) for n in range(chords)}
    start = rng.randint(0, 1)
    names = tuple(str(n + start) for n in range(count))
    return OwnGraph(names, tuple(sorted(links)), ())


def regular_list(rng: Random) -> OwnFile:
    """Adjacency lists whose lines are as long as each other, all or but for some at the top."""
    graph = _ring(rng, rng.choice((0, 0, 1, 2)))
    lines = _neighbours(graph)
    way, before = rng.choice(("both", "once", "networkx")), ()
    if way != "both":
        lines = [[graph.names[u], *(graph.names[b] for a, b in graph.links if a == u)]
                 for u in range(len(graph.names))]  # fmt: skip
        lines = [line for line in lines if len(line) > 1]
        before = _GMT if way == "networkx" else ()
    elif rng.random() < 0.5:
        lines = rng.sample(lines, len(lines))
    content = _text(lines, rng.choice((" ", "\t", ",")), before)
    return OwnFile("adjacency list, of one width", "own.txt", content, graph.truth, False)


def _matrix(graph: OwnGraph, rng: Random) -> np.ndarray:
    weights = rng.choice((None, (2, 3, 7)))
    found = np.zeros((len(graph.names),) * 2, int)
    for u, v in graph.links:
        found[u, v] = found[v, u] = rng.choice(weights) if weights else 1
    return np.triu(found) if rng.random() < 0.3 else found


def matrix(rng: Random) -> OwnFile:
    """As many columns as rows; with the nodes' names around it, or numbers of columns alone."""
    form = rng.choice(("plain", "plain", "named", "R", "names above", "numbers above"))
    named = form in ("named", "R", "names above")
    graph = own_graph(rng, rng.choice(("letters", "from 1")) if named else "from 0")
    if form == "R" and rng.random() < 0.6:
        graph = OwnGraph(tuple(f"V{n + 1}" for n in range(len(graph.names))), *_links(graph))
    end = rng.choice(("", "", ".0"))
    rows = [[f"{cell}{end}" for cell in row] for row in _matrix(graph, rng).tolist()]
    separator = rng.choice((",", ";", "\t") if named else (",", ";", "\t", " "))
    if form in ("named", "R"):
        rows = [[name, *row] for name, row in zip(graph.names, rows, strict=True)]
    if form == "R":
        rows = [[f'"{row[0]}"', *row[1:]] for row in rows]
    above = {"named": ["", *graph.names], "R": [f'"{name}"' for name in graph.names]}
    header = above.get(form, list(graph.names) if "above" in form else None)
    content = _text([header, *rows] if header else rows, separator)
    certain = form in ("plain", "named")
    return OwnFile(f"matrix, {form}", "own.csv", content, graph.truth, certain)


def _links(graph: OwnGraph) -> tuple[Any, Any]:
    return graph.links, graph.alone


def _saved(write: Callable[..., Any], *arguments: Any, **named: Any) -> bytes:
    buffer = io.BytesIO()
    write(buffer, *arguments, **named)
    return buffer.getvalue()


def by_networkx(rng: Random) -> OwnFile:
    """GML, GraphML, GEXF and Pajek: directed or not, with repeats, weights and attributes."""
    suffix = rng.choice((".gml", ".graphml", ".gexf", ".net"))
    ids = rng.choice(("from 0", "from 1", "gaps", "letters", "words"))
    graph = own_graph(rng, "letters" if suffix == ".net" and ids == "words" else ids)
    made = rng.choice((networkx.Graph, networkx.DiGraph, networkx.MultiGraph))()
    made.add_nodes_from(graph.names)
    for u, v in graph.links:
        u, v = (u, v) if rng.random() < 0.5 else (v, u)
        made.add_edge(graph.names[u], graph.names[v], weight=rng.choice((1.0, 2.5)))
    if made.is_directed() and rng.random() < 0.5:
        made.add_edges_from([(v, u) for u, v in made.edges()][:9], weight=1.0)
    if suffix == ".graphml" and rng.random() < 0.5:
        networkx.set_node_attributes(made, {name: f"about {name}" for name in graph.names}, "label")
    writers = {".gml": networkx.write_gml, ".graphml": networkx.write_graphml,
               ".gexf": networkx.write_gexf, ".net": networkx.write_pajek}  # fmt: skip
    content = _saved(lambda buffer: writers[suffix](made, buffer))
    return OwnFile(f"networkx's {suffix}", f"own{suffix}", content, graph.truth)


def pajek(rng: Random) -> OwnFile:
    """Pajek's files by hand: several sections, relations, lists of neighbours, repeated labels."""
    graph = own_graph(rng, rng.choice(("from 1", "letters")))
    graph = OwnGraph(graph.names, graph.links, graph.alone)
    form = rng.choice(("plain", "two sections", "relations", "edgeslist", "count", "same labels"))
    names = [*graph.names]
    if form == "same labels":
        names[1] = names[0]
    lines = [f"*Vertices {len(names)}"]
    lines += [f'{n} "{name}"' for n, name in enumerate(names, 1)]
    links = [f"{u + 1} {v + 1}" for u, v in graph.links]
    half = len(links) // 2
    if form == "two sections":
        lines += ["*Arcs", *links[:half], "*Edges", *links[half:]]
    elif form == "relations":
        lines += ['*Arcs :1 "likes"', *links[:half], '*Arcs :2 "knows"', *links[half:]]
    elif form == "edgeslist":
        lines.append(rng.choice(("*Edgeslist", "*Arcslist")))
        for u in range(len(names)):
            others = [str(v + 1) for a, v in graph.links if a == u]
            lines += [" ".join([str(u + 1), *others])] if others else []
    elif form == "count":
        lines += [f"*Edges {len(links)}", *links]
    else:
        lines += [rng.choice(("*Edges", "*Arcs", "*edges")), *links]
    content = "\n".join([*lines, ""]).encode()
    truth = None if form == "same labels" else graph.truth
    certain = form in ("plain", "two sections")
    return OwnFile(f"Pajek, {form}", "own.net", content, truth, certain)


def matrix_market(rng: Random) -> OwnFile:
    graph = own_graph(rng, "from 0")
    made = scipy.sparse.coo_matrix(_matrix(graph, rng))
    form = rng.choice(("symmetric", "general", "pattern", "dense"))
    full = scipy.sparse.coo_matrix(np.maximum(made.toarray(), made.toarray().T))
    if form == "pattern":
        content = _saved(scipy.io.mmwrite, full, field="pattern", symmetry="symmetric",
                         comment="of our own")  # fmt: skip
    elif form == "dense":
        content = _saved(scipy.io.mmwrite, made.toarray())
    else:
        chosen = full if form == "symmetric" else made
        content = _saved(scipy.io.mmwrite, chosen, symmetry=form)
    return OwnFile("MatrixMarket", "own.mtx", content, graph.truth)


def npz(rng: Random) -> OwnFile:
    graph = own_graph(rng, "from 0")
    made = scipy.sparse.csr_matrix(_matrix(graph, rng))
    pairs = np.array(graph.links)
    count = {"num_nodes": len(graph.names)}
    form = rng.choice(("edge_index", "edges", "SciPy", "dense", "gnn-benchmark", "key"))
    keys: dict[str, Any] = {}
    if form == "SciPy":
        content = _saved(scipy.sparse.save_npz, rng.choice((made, made.tocoo(), made.tocsc())))
    elif form == "gnn-benchmark":
        content = _saved(np.savez, adj_data=made.data, adj_indices=made.indices,
                         adj_indptr=made.indptr, adj_shape=made.shape,
                         labels=np.zeros(len(graph.names)))  # fmt: skip
    elif form == "dense":
        content = _saved(np.savez, adj=made.toarray())
    elif form == "key":
        content = _saved(np.savez_compressed, first=made.toarray(), other=np.eye(3))
        keys = {"key": "first"}
    else:
        content = _saved(np.savez, **{form: pairs.T if form == "edge_index" else pairs}, **count)
    return OwnFile("NumPy's .npz", "own.npz", content, graph.truth, keys=keys)


def pt(rng: Random) -> OwnFile:
    graph = own_graph(rng, "from 0")
    edges = torch.tensor(graph.links).T
    data = Data(edge_index=edges, num_nodes=len(graph.names))
    form = rng.choice(("Data", "ToUndirected", "dict", "tuple", "tensor"))
    saved = {
        "Data": data, "ToUndirected": ToUndirected()(data),
        "dict": {"edge_index": edges, "num_nodes": len(graph.names)},
        "tuple": (data.to_dict(), None), "tensor": edges,
    }[form]  # fmt: skip
    truth = graph.truth
    if form == "tensor":  # nodes behind the last link are not in it
        count = int(edges.max()) + 1
        truth = Truth(frozenset(map(str, range(count))), truth.links)
    return OwnFile("PyG's .pt", "own.pt", _saved_by_torch(saved), truth)


def _saved_by_torch(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def mat(rng: Random) -> OwnFile:
    graph = own_graph(rng, "from 0")
    made = _matrix(graph, rng)
    version = rng.choice(("4", "5"))
    saved = scipy.sparse.csc_matrix(made.astype(float)) if rng.random() < 0.6 else made
    others = {"group": np.ones((len(made), 2))} if rng.random() < 0.5 else {}
    content = _saved(scipy.io.savemat, {rng.choice(("net", "A")): saved, **others}, format=version)
    return OwnFile("MATLAB's .mat", "own.mat", content, graph.truth)


FORMATS = (
    adjacency_list, networkx_list, regular_list, matrix, by_networkx, pajek, matrix_market, npz, pt,
    mat,
)  # fmt: skip
BINARY = (".gml", ".graphml", ".gexf", ".mtx", ".npz", ".pt", ".mat")  # whose cut is noticed
