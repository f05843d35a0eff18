"""How much the neighbourhoods of neighbours overlap: topological concentration.

TC and ATC of Wang et al., "A Topological Perspective on Demystifying GNN-Based Link Prediction
Performance" (ICLR 2024, arXiv 2310.04612). Both are means over the links of a node in one part of
a split; what overlaps are the neighbourhoods in the graph of training. Those of validation and
test read held-out links: they describe a result, and are no feature.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.ops.overlap import sum_over_common_neighbours

_MOST_WORK = 10**9  # entries that are multiplied, for more than one hop
_CHUNK = 2**12  # pairs


def concentration(graph: Graph, links: Graph | None = None, *, hops: int = 1) -> Tensor:
    """TC of every node, (N,) float64 in [0, 1]; 0 without a link of this part or of training.

    With one hop TC of training links is the local clustering coefficient, and that of other links
    the mean share of common neighbours among the node's own. A node of one training link has 0 in
    training. With more hops, walks of length k count β^(k-1), β the inverse mean degree.

    Args:
        graph: of training.
        links: of validation or of the test; None: those of training.
        hops: K; the longest walks from both ends.

    Raises:
        RunnerError: if there are too many walks.
    """
    sought = graph if links is None else links
    itself = float(links is None)  # the neighbour is no common neighbour of a node with itself
    degree = graph.degree().double()
    if hops == 1:
        shared, size = _common(graph, sought).double(), degree - itself
    else:
        shared, size = _shared_walks(graph, sought, hops)
        size -= itself
    mean = _mean(shared / size.clamp(min=torch.finfo(size.dtype).tiny)[sought.row], sought)
    return mean.masked_fill_(degree <= itself, 0)


def weighted_concentration(graph: Graph, weight: Tensor) -> Tensor:
    """TC of every node by training links whose messages have weights, (N,) float64.

    The mean over neighbours of the share of a node's neighbours that are theirs too, weighted by
    what the node receives from them; with equal weights (d - 1) / d of TC. 0 without a link.

    Args:
        weight: (E,) of the entries; row i holds what i receives.
    """
    weight = weight.double()
    total = torch.zeros(graph.num_nodes, dtype=torch.float64).index_add_(0, graph.row, weight)
    return _mean(_common(graph, graph) * weight / total[graph.row], graph)


def approximate_concentration(
    graph: Graph,
    links: Graph | None = None,
    *,
    hops: int = 1,
    kernel: Literal["cosine", "dot"] = "cosine",
    projection: np.ndarray | None = None,
) -> Tensor:
    """ATC of every node, (N,) float64; 0 without a link of this part.

    The mean over links of the similarity of two rows of the mean of P, P², … P^K, where P is the
    row-normalised adjacency with self-loops. The release projects these rows at random; here they
    are compared as they are, which is what its figures approach as it grows wider (with "dot" 64
    times these).

    Args:
        graph: of training.
        links: of validation or of the test; None: those of training.
        projection: (N, R) that the rows are projected with.

    Raises:
        RunnerError: if there are too many walks.
    """
    sought = graph if links is None else links
    if hops == 1 and projection is None:
        closed = graph.degree().double() + 1
        u, v = closed[sought.row], closed[sought.col.long()]
        linked = graph.find(_pairs(sought)) >= 0
        value = (_common(graph, sought) + 2 * linked) / (u * v)
        return _mean(value * (u * v).sqrt() if kernel == "cosine" else value, sought)
    rows = _diffused(graph, sought, hops, projection)
    value = _products(rows, rows, sought)
    if kernel == "cosine":
        norm = torch.from_numpy(np.sqrt((rows * rows).sum(axis=1)))
        value /= (norm[sought.row] * norm[sought.col.long()]).clamp(min=1e-12)
    return _mean(value, sought)


def _common(graph: Graph, sought: Graph) -> Tensor:
    """Common neighbours in ``graph`` of the ends of every entry of ``sought``, (E,) int64."""
    nothing = torch.zeros(graph.num_nodes, 1)
    pairs = _pairs(sought)
    return sum_over_common_neighbours(graph, pairs, nothing, start=torch.zeros(1))[1]


def _shared_walks(graph: Graph, sought: Graph, hops: int) -> tuple[Tensor, Tensor]:
    """Weighted walks from every entry's row to nodes that its column reaches, and from every node.

    Both are summed over the lengths of the two walks, each from 1 to ``hops``.
    """
    _refuse_many(graph, sought, hops)
    step = _matrix(graph)
    weight = graph.num_nodes / max(1, graph.num_entries)
    power, walks, reached = step, step.copy(), step.sign()
    for length in range(1, hops):
        power = power @ step
        walks = walks + weight**length * power
        reached = reached + weight**length * power.sign()
    lengths = sum(weight**length for length in range(hops))
    total = torch.from_numpy(walks.sum(axis=1) * lengths)
    return _products(walks, reached, sought), total


def _diffused(
    graph: Graph, sought: Graph, hops: int, projection: np.ndarray | None
) -> sparse.csr_array | np.ndarray:
    loops = sparse.eye_array(graph.num_nodes, format="csr")
    closed = _matrix(graph) + loops
    step = sparse.diags_array(1 / closed.sum(axis=1)) @ closed
    if projection is None:
        _refuse_many(graph, sought, hops)
    rows = step @ (loops if projection is None else projection)
    total = rows
    for _ in range(1, hops):
        rows = step @ rows
        total = total + rows
    return total / hops


def _products(
    left: sparse.csr_array | np.ndarray, right: sparse.csr_array | np.ndarray, sought: Graph
) -> Tensor:
    """The inner product of two rows for every entry, (E,) float64."""
    found = np.empty(sought.num_entries)
    for begin in range(0, sought.num_entries, _CHUNK):
        u, v = (ends[begin : begin + _CHUNK].numpy() for ends in (sought.row, sought.col))
        found[begin : begin + _CHUNK] = (left[u] * right[v]).sum(axis=1)
    return torch.from_numpy(found)


def _refuse_many(graph: Graph, sought: Graph, hops: int) -> None:
    step = _matrix(graph)
    reach = np.ones(graph.num_nodes)
    for _ in range(hops):
        reach = np.minimum(step @ reach + reach, graph.num_nodes)
    work = int(reach[sought.row.numpy()].sum() + reach.sum())
    if work > _MOST_WORK:
        raise RunnerError(
            f"hops={hops}: topological concentration would compare {work:,} ends of walks, more "
            f"than {_MOST_WORK:,}; take hops=1, which is exact on a graph of any size"
        )


def _matrix(graph: Graph) -> sparse.csr_array:
    n = graph.num_nodes
    parts = np.ones(graph.num_entries), graph.col.numpy(), graph.rowptr.numpy()
    return sparse.csr_array(parts, shape=(n, n))


def _pairs(graph: Graph) -> Tensor:
    return torch.stack([graph.row, graph.col.long()])


def _mean(values: Tensor, links: Graph) -> Tensor:
    """The mean over the entries of every row, (N,); 0 of an empty row."""
    total = torch.zeros(links.num_nodes, dtype=torch.float64).index_add_(0, links.row, values)
    return total / links.degree().clamp(min=1)
