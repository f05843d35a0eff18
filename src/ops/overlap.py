"""Which neighbours two nodes share, and which belong to one of them alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ops.csr import Graph, check_ids, offsets


@dataclass(frozen=True, eq=False)
class NeighbourLists:
    """A ragged array: one list of nodes for each of B pairs.

    Shapes:
        - ``rowptr``: (B + 1,) int64, pair ``b`` holds entries ``rowptr[b]`` to ``rowptr[b + 1]``
        - ``node``: (nnz,) int64, ascending within each pair
    """

    rowptr: Tensor
    node: Tensor

    def counts(self) -> Tensor:
        """Length of every pair's list, (B,) int64."""
        return self.rowptr.diff()

    @cached_property
    def target(self) -> Tensor:
        """Index of the pair that every entry belongs to, (nnz,) int64."""
        pair = torch.arange(self.rowptr.numel() - 1, device=self.node.device)
        return torch.repeat_interleave(pair, self.counts(), output_size=self.node.numel())

    def keep(self, mask: Tensor) -> NeighbourLists:
        """The lists of the entries where ``mask``, (nnz,) bool, holds."""
        return NeighbourLists(offsets(mask)[self.rowptr], self.node[mask])


def common_neighbours(graph: Graph, pairs: Tensor) -> NeighbourLists:
    """N(u) ∩ N(v) of every pair.

    The row of the endpoint with fewer neighbours is listed and looked up in the other's, so a hub
    costs no more than its partner's degree.

    Args:
        pairs: (2, B) int64; u = v is allowed.

    Raises:
        ValueError: on a wrong shape or an id outside the graph.
    """
    check_pairs(graph, pairs)
    u, v = pairs
    degree = graph.degree()
    swap = degree[u] > degree[v]
    fewer, more = torch.where(swap, v, u), torch.where(swap, u, v)
    listed = rows(graph, fewer)
    shared = graph.find(torch.stack((more[listed.target], listed.node))) >= 0
    return listed.keep(shared)


def neighbourhoods(
    graph: Graph, pairs: Tensor
) -> tuple[NeighbourLists, NeighbourLists, NeighbourLists]:
    r"""N(u) ∩ N(v), N(u) \\ N(v) and N(v) \\ N(u) of every pair.

    Where (u, v) is itself an edge, v is a one-sided neighbour of u and u of v.

    Args:
        pairs: (2, B) int64; u = v is allowed (every neighbour is then common).

    Raises:
        ValueError: on a wrong shape or an id outside the graph.
    """
    check_pairs(graph, pairs)
    u, v = pairs
    of_u = rows(graph, u)
    of_v = rows(graph, v)
    found = graph.find(torch.stack((v[of_u.target], of_u.node)))
    shared = found >= 0
    # A shared neighbour was found as an entry of row v: the same entry of v's own list is shared.
    pair = of_u.target[shared]
    alone = torch.ones_like(of_v.node, dtype=torch.bool)
    alone[of_v.rowptr[pair] + found[shared] - graph.rowptr[v[pair]]] = False
    return of_u.keep(shared), of_u.keep(~shared), of_v.keep(alone)


def rows(graph: Graph, nodes: Tensor) -> NeighbourLists:
    """The neighbours of ``nodes``, (B,) int64, as lists."""
    start = graph.rowptr[nodes]
    count = graph.rowptr[nodes + 1] - start
    rowptr = offsets(count)
    total = int(rowptr[-1])
    shift = torch.repeat_interleave(start - rowptr[:-1], count, output_size=total)
    entry = torch.arange(total, device=nodes.device).add_(shift)
    return NeighbourLists(rowptr, graph.col[entry])


def check_pairs(graph: Graph, pairs: Tensor) -> None:
    """Raise ValueError on pairs that are not (2, B) int64 or hold an id outside the graph."""
    if pairs.dim() != 2 or pairs.size(0) != 2 or pairs.dtype != torch.int64:
        raise ValueError(
            "pairs must be an int64 tensor of shape (2, B), "
            f"got {pairs.dtype} of shape {tuple(pairs.shape)}"
        )
    check_ids(pairs, graph.num_nodes, "pairs")
