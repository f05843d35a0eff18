"""The subgraphs around pairs of nodes, with the labels of SEAL."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.csr import Graph, offsets
from runner.ops.hash import mix, uniform
from runner.ops.kernels import enclosing_subgraphs as kernels
from runner.ops.kernels.parallel import parallel
from runner.ops.overlap import check_pairs, rows


@dataclass(frozen=True, eq=False)
class EnclosingSubgraphs:
    """The subgraphs of B pairs, side by side in one graph of n nodes.

    Shapes:
        - ``rowptr``: (B + 1,) int64, pair ``b`` has the nodes ``rowptr[b]`` to ``rowptr[b + 1]``
        - ``node``: (n,) int64, their numbers in the graph around, ascending for each pair
        - ``label``: (n,) int64
        - ``graph``: of n nodes, without the links of the pairs themselves
    """

    rowptr: Tensor
    node: Tensor
    label: Tensor
    graph: Graph


def enclosing_subgraphs(
    graph: Graph,
    pairs: Tensor,
    *,
    hops: int,
    ratio: float = 1.0,
    most: int | None = None,
    seed: int = 0,
    ids: Tensor | None = None,
) -> EnclosingSubgraphs:
    """The links among the nodes within ``hops`` steps of either end of each pair, without its own.

    A label is 1 for both ends; for a node at a distance a of u without v, and b of v without u, in
    the subgraph, with d = a + b, it is 1 + min(a, b) + (d // 2) (d // 2 + d % 2 - 1); 0 where one
    end is out of reach (double-radius node labelling, Zhang and Chen 2018, arXiv 1802.09691).

    Args:
        graph: symmetric.
        pairs: (2, B) int64; u = v is allowed.
        ratio: share of a hop's nodes that stay, of which the next hop starts.
        most: and how many at most; None for all. Which stay is a function of ``seed``, the pair and
            the node alone.
        ids: (N,) int64, what chance calls the nodes; None for their numbers.

    Raises:
        ValueError: on a wrong shape or an id outside the graph.
    """
    check_pairs(graph, pairs)
    limits = ratio, 2**62 if most is None else most, seed
    if not backend.compiled(graph.col) or not pairs.numel():
        return _enclosing_subgraphs(graph, pairs, hops, *limits, ids)
    u, v = pairs.contiguous()
    names = u.new_empty(0) if ids is None else ids.contiguous()
    degree = 1 + graph.num_entries / max(1, graph.num_nodes)
    cost = 16 * min(degree ** (hops + 1), 4.0 * (graph.num_entries + graph.num_nodes))
    given = graph.rowptr, graph.col, u, v, names, hops, *limits
    found = parallel(kernels.enclose, u.numel(), *given, cost=cost)
    parts = [[torch.from_numpy(part) for part in of_range] for of_range in found]
    before = offsets(torch.tensor([nodes.numel() for _, nodes, *_ in parts])).tolist()
    col = torch.cat([part[-1] + begin for part, begin in zip(parts, before, strict=False)])
    sizes, node, label, counts = (
        torch.cat(of_all) for of_all in list(zip(*parts, strict=True))[:4]
    )
    block = Graph(offsets(counts), col.to(graph.col.dtype), symmetric=True)
    return EnclosingSubgraphs(offsets(sizes), node, label, block)


def _enclosing_subgraphs(
    graph: Graph,
    pairs: Tensor,
    hops: int,
    ratio: float,
    most: int,
    seed: int,
    ids: Tensor | None,
) -> EnclosingSubgraphs:
    """All pairs at once: a node of a pair is the number pair · N + node."""
    u, v = pairs
    n, own = graph.num_nodes, torch.arange(u.numel(), device=u.device) * graph.num_nodes
    inside = seen = newest = torch.unique(torch.cat([own + u, own + v]))
    for _ in range(hops):
        lists = rows(graph, newest % n)
        near = torch.unique(newest.div(n, rounding_mode="floor")[lists.target] * n + lists.node)
        near = near[~torch.isin(near, seen)]
        seen = torch.cat([seen, near])
        newest = near[_chosen(near, n, pairs, ratio, most, seed, ids)]
        inside = torch.cat([inside, newest])
    inside = inside.sort().values
    pair, node = inside.div(n, rounding_mode="floor"), inside % n
    lists = rows(graph, node)
    of, source = pair[lists.target], node[lists.target]
    key = of * n + lists.node
    place = torch.searchsorted(inside, key).clamp(max=max(0, inside.numel() - 1))
    is_target = (source == u[of]) & (lists.node == v[of]) | (source == v[of]) & (
        lists.node == u[of]
    )
    kept = (inside[place] == key) & ~is_target
    col = place[kept].to(graph.col.dtype)
    block = Graph(offsets(kept)[lists.rowptr], col, symmetric=True)
    ends = torch.searchsorted(inside, own + u), torch.searchsorted(inside, own + v)
    rowptr = offsets(torch.bincount(pair, minlength=u.numel()))
    return EnclosingSubgraphs(rowptr, node, _labels(block, *ends), block)


def _chosen(
    near: Tensor,
    n: int,
    pairs: Tensor,
    ratio: float,
    most: int,
    seed: int,
    ids: Tensor | None,
) -> Tensor:
    """(n,) bool: which of a hop's nodes stay, the numbers of which ascend."""
    pair, node = near.div(n, rounding_mode="floor"), near % n
    count = torch.bincount(pair, minlength=pairs.size(1))
    wanted = (ratio * count.double()).long().clamp(max=most)
    named, w = (pairs, node) if ids is None else (ids[pairs], ids[node])
    low, high = named.aminmax(dim=0)
    draws = uniform(mix(seed, low[pair], high[pair], w))
    order = torch.argsort(draws)
    order = order[torch.argsort(pair[order], stable=True)]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(order.numel(), device=order.device)
    return rank - offsets(count)[pair] < wanted[pair]


def _labels(graph: Graph, u: Tensor, v: Tensor) -> Tensor:
    to_u, to_v = _distances(graph, u, v), _distances(graph, v, u)
    total = to_u + to_v
    half = total.div(2, rounding_mode="floor")
    label = 1 + torch.minimum(to_u, to_v) + half * (half + total % 2 - 1)
    label[(to_u < 0) | (to_v < 0)] = 0
    label[u] = label[v] = 1
    return label


def _distances(graph: Graph, source: Tensor, without: Tensor) -> Tensor:
    """Steps from the source of each block that pass by no node ``without``; -1 for none."""
    distance = torch.full((graph.num_nodes,), -1, device=source.device)
    barred = torch.zeros_like(distance, dtype=torch.bool).index_fill_(0, without, True)
    distance[source] = steps = 0
    newest = source
    while newest.numel():
        newest = rows(graph, newest).node.unique()
        newest = newest[(distance[newest] < 0) & ~barred[newest]]
        steps += 1
        distance[newest] = steps
    return distance
