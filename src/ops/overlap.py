"""Which neighbours two nodes share, and which belong to one of them alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runner.ops import backend, dense
from runner.ops.aggregate import pool
from runner.ops.csr import Graph, check_ids, entries_of, offsets
from runner.ops.kernels.neighbourhoods import find_shared, list_neighbourhoods
from runner.ops.kernels.overlap import list_common, sum_common
from runner.ops.kernels.overlap_dense import sum_common_dense
from runner.ops.kernels.parallel import array, parallel, run

_MANY = 64  # neighbours of a node, on average, from which on pooling them is mostly additions


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

    @classmethod
    def joined(cls, parts: Sequence[NeighbourLists]) -> NeighbourLists:
        """The nodes of all parts, at least one, in one list for each pair, repeats included."""
        if len(parts) == 1:
            return parts[0]
        node, by_node = torch.cat([part.node for part in parts]).sort()
        target = torch.cat([part.target for part in parts])[by_node]
        counts = torch.stack([part.counts() for part in parts]).sum(dim=0)
        return cls(offsets(counts), node[target.argsort(stable=True)])


def common_neighbours(graph: Graph, pairs: Tensor) -> NeighbourLists:
    """N(u) ∩ N(v) of every pair.

    A hub costs little more than its partner's degree: where the degrees differ much, one row is
    searched in the other.

    Args:
        pairs: (2, B) int64; u = v is allowed.

    Raises:
        ValueError: on a wrong shape or an id outside the graph.
    """
    check_pairs(graph, pairs)
    if backend.compiled(graph.col):
        u, v = pairs.contiguous()
        counts = torch.empty_like(u)
        nodes = _merge(list_common, graph, u, v, counts)
        return _put_together(counts, nodes)
    return _common_neighbours(graph, pairs)


def _common_neighbours(graph: Graph, pairs: Tensor) -> NeighbourLists:
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
    some = pairs.numel() > 0 and graph.num_entries > 0  # the kernels read the first of each
    if backend.compiled(graph.col) and some:
        return _list_neighbourhoods(graph, pairs)
    return _neighbourhoods(graph, pairs)


def _list_neighbourhoods(
    graph: Graph, pairs: Tensor
) -> tuple[NeighbourLists, NeighbourLists, NeighbourLists]:
    """Which entries are common is found first: then it is known where every list begins."""
    u, v = pairs.contiguous()
    found = _merge(find_shared, graph, u, v)
    begins = np.cumsum([(0, 0, 0), *(numbers for *_, numbers in found)], axis=0).tolist()
    lists = [NeighbourLists(u.new_empty(u.numel() + 1), u.new_empty(n)) for n in begins[-1]]
    for part in lists:
        part.rowptr[0] = 0
    written = [(array(part.node), array(part.rowptr)) for part in lists]
    given = [array(x) for x in (graph.rowptr, graph.col, u, v)]
    calls = []
    for (begin, end, *shared, _), places in zip(found, begins[:-1], strict=True):
        lists_from = [(place, *of) for place, of in zip(places, written, strict=True)]
        calls.append((begin, end, *given, *shared, *lists_from))
    run(list_neighbourhoods, calls)
    common, only_u, only_v = lists
    return common, only_u, only_v


def _neighbourhoods(
    graph: Graph, pairs: Tensor
) -> tuple[NeighbourLists, NeighbourLists, NeighbourLists]:
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


def pool_common_neighbours(graph: Graph, pairs: Tensor, x: Tensor) -> Tensor:
    """Σ x_w over w ∈ N(u) ∩ N(v) of every pair, differentiable in ``x``.

    Args:
        pairs: (2, B) int64; u = v is allowed.
        x: (N, H) floating point.

    Returns:
        (B, H)

    Raises:
        ValueError: on a wrong shape or an id outside the graph.
    """
    if dense.suits(graph):
        check_pairs(graph, pairs)
        return dense.pool_common(graph, pairs, x)
    common = common_neighbours(graph, pairs)
    return pool(x, common.rowptr, common.node)


def sum_over_common_neighbours(
    graph: Graph, pairs: Tensor, x: Tensor, *, start: Tensor
) -> tuple[Tensor, Tensor]:
    """Σ x_w over w ∈ N(u) ∩ N(v) of every pair, without gradient and without listing them.

    Fastest where pairs of the same first node stand together.

    Args:
        pairs: (2, B) int64, ids from 0 to N - 1, which are not checked.
        x: (N, H) floating point.
        start: (H,), added to every sum.

    Returns:
        The sums, (B, H), and the numbers of common neighbours, (B,) int64.
    """
    with torch.no_grad():
        if dense.suits(graph):
            sums, counts = dense.sum_common(graph, pairs, x)
            return sums.add_(start), counts
        if not backend.compiled(x):
            common = _common_neighbours(graph, pairs)
            return pool(x, common.rowptr, common.node) + start, common.counts()
        u, v = pairs.contiguous()
        out, counts = x.new_empty(u.numel(), x.size(1)), torch.empty_like(u)
        many = graph.num_entries >= _MANY * graph.num_nodes
        kernel = sum_common_dense if many else sum_common
        _merge(kernel, graph, u, v, x.contiguous(), start.contiguous(), out, counts)
        return out, counts


def count_common_neighbours(graph: Graph, pairs: Tensor) -> Tensor:
    """|N(u) ∩ N(v)| of every pair, (B,) int64, without listing them.

    Args:
        pairs: (2, B) int64, ids from 0 to N - 1, which are not checked.
    """
    nothing = torch.zeros(graph.num_nodes, 1, device=pairs.device)
    return sum_over_common_neighbours(graph, pairs, nothing, start=nothing.new_zeros(1))[1]


def _merge(
    kernel: Callable[..., Any], graph: Graph, u: Tensor, v: Tensor, *arguments: Tensor
) -> list[Any]:
    cost = 10 + 4 * graph.num_entries / max(1, graph.num_nodes)
    return parallel(kernel, u.numel(), graph.rowptr, graph.col, u, v, *arguments, cost=cost)


def _put_together(counts: Tensor, parts: Sequence[np.ndarray]) -> NeighbourLists:
    """The lists of all pairs, from the nodes of consecutive ranges of them."""
    node = torch.empty(sum(len(part) for part in parts), dtype=torch.int64)
    torch.cat([torch.from_numpy(part) for part in parts], out=node)
    return NeighbourLists(offsets(counts), node)


def rows(graph: Graph, nodes: Tensor) -> NeighbourLists:
    """The neighbours of ``nodes``, (B,) int64, as lists."""
    rowptr, entry = entries_of(graph.rowptr, nodes)
    return NeighbourLists(rowptr, graph.col[entry].long())


def check_pairs(graph: Graph, pairs: Tensor) -> None:
    """Raise ValueError on pairs that are not (2, B) int64 or hold an id outside the graph."""
    if pairs.dim() != 2 or pairs.size(0) != 2 or pairs.dtype != torch.int64:
        raise ValueError(
            "pairs must be an int64 tensor of shape (2, B), "
            f"got {pairs.dtype} of shape {tuple(pairs.shape)}"
        )
    check_ids(pairs, graph.num_nodes, "pairs")
