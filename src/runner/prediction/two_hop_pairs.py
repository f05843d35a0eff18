"""Pairs of nodes that neighbours connect, the best of each node by Adamic-Adar."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from runner.ops.csr import Graph

_MOST_WALKS = 10**9  # of two steps, through the nodes of fewest links: a minute or so
_BLOCK_WALKS = 2**22  # at a time: some hundred megabytes


def two_hop_pairs(
    graph: Graph, nodes: Tensor, partners: Tensor, *, count: int, across: bool = False
) -> Iterator[Tensor]:
    """For each node those of highest Adamic-Adar with it, unless they are linked, in blocks.

    Where a graph has more than 10^9 walks of two steps, those through its largest hubs, which say
    least, are left out.

    Args:
        nodes: (n,) int64.
        partners: (N,) bool, which nodes they may be paired with.
        count: partners for each node, at most.
        across: a bipartite graph, none of whose pairs has a common neighbour: the partners are
            the neighbours of the nodes of highest Adamic-Adar.

    Yields:
        (2, P) int64, a node and a partner.
    """
    links = _matrix(graph)
    weighed = _weighed(links, graph.degree().numpy())
    for some in _blocks(graph, nodes.numpy()):
        found = weighed[some] @ links
        if across:
            found = _best(found, some, np.ones(graph.num_nodes, bool), graph, count) @ links
        best = _best(found, some, partners.numpy(), graph, count)
        row = np.repeat(some, np.diff(best.indptr))
        yield torch.from_numpy(np.stack([row, best.indices.astype(np.int64)]))


def _matrix(graph: Graph) -> csr_array:
    ones = np.ones(graph.num_entries, np.float32)
    shape = graph.num_nodes, graph.num_nodes
    return csr_array((ones, graph.col.numpy(), graph.rowptr.numpy()), shape=shape)


def _weighed(links: csr_array, degree: np.ndarray) -> csr_array:
    order = np.argsort(degree, kind="stable")
    walks = np.cumsum(degree[order] ** 2)
    # A common neighbour has two neighbours.
    weight = 1 / np.log(np.maximum(degree, 2)).astype(np.float32)
    weight[order[walks > _MOST_WALKS]] = 0
    weighed = csr_array((weight[links.indices], links.indices, links.indptr), shape=links.shape)
    weighed.eliminate_zeros()
    return weighed


def _blocks(graph: Graph, nodes: np.ndarray) -> Iterator[np.ndarray]:
    """Consecutive nodes with about as many walks; a hub may stand alone."""
    degree = graph.degree()
    walks = torch.zeros(graph.num_nodes, dtype=torch.int64)
    walks.index_add_(0, graph.row, degree[graph.col.long()])
    number = np.cumsum(walks.numpy()[nodes]) // _BLOCK_WALKS
    ends = [*(np.flatnonzero(np.diff(number)) + 1), len(nodes)]
    for begin, end in itertools.pairwise([0, *ends]):
        yield nodes[begin:end]


def _best(
    found: csr_array, nodes: np.ndarray, partners: np.ndarray, graph: Graph, count: int
) -> csr_array:
    """Of each row the ``count`` highest values of partners that are new; ties by number."""
    row = np.repeat(np.arange(len(nodes)), np.diff(found.indptr))
    pairs = torch.from_numpy(np.stack([nodes[row], found.indices.astype(np.int64)]))
    new = partners[found.indices] & (pairs[0] != pairs[1]).numpy() & (graph.find(pairs) < 0).numpy()
    row, column, value = row[new], found.indices[new], found.data[new]
    order = np.lexsort((column, -value, row))
    row = row[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    order, row = order[rank < count], row[rank < count]
    begins = np.searchsorted(row, np.arange(len(nodes) + 1))
    return csr_array((value[order], column[order], begins), shape=found.shape)
