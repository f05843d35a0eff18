"""How many nodes lie at which distances from both nodes of a pair: exact."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.aggregate import pool
from runner.ops.csr import Graph, offsets
from runner.ops.kernels import distance_counts as kernels
from runner.ops.kernels.parallel import parallel
from runner.ops.overlap import check_pairs, rows

MOST_HOPS = 3
_MOST_LISTED = 2**25  # nodes of the balls that are held at a time


@dataclass(frozen=True, eq=False)
class DistanceCounts:
    """Sizes of the balls of two nodes and of their intersections, of each of B pairs.

    The ball B_k(u) is closed: u, and all nodes within k steps of it.

    Shapes:
        - ``shared``: (B, K, K), |B_i(u) ∩ B_j(v)| in ``[:, i - 1, j - 1]``
        - ``first``, ``second``: (B, K), |B_k(u)| and |B_k(v)|
    """

    shared: Tensor
    first: Tensor
    second: Tensor


def distance_counts(graph: Graph, pairs: Tensor, hops: int) -> DistanceCounts:
    """Count the nodes within 1 to ``hops`` steps of both nodes of each pair, int64.

    The ball of a node is found once however many pairs it is in, but for one of a side whose
    partners' balls are too many to be held at a time. Takes time as the balls are large:
    :func:`expected_ball` says how large.

    Args:
        pairs: (2, B) int64; u = v is allowed.
        hops: 1 to 3.

    Raises:
        ValueError: on a wrong shape, an id outside the graph, or another number of hops.
    """
    check_pairs(graph, pairs)
    if not 1 <= hops <= MOST_HOPS:
        raise ValueError(f"hops must be 1 to {MOST_HOPS}, got {hops}")
    most = ball_bounds(graph, hops)
    # The smaller ball is listed, and looked up in the larger one.
    swapped = most[pairs[1]] > most[pairs[0]]
    large, small = torch.where(swapped, pairs.flip(0), pairs)
    count = large.numel()
    shared = large.new_zeros(count, hops, hops)
    first, second = large.new_zeros(2, count, hops)
    order = torch.argsort(small, stable=True)
    listed, number = torch.unique_consecutive(small[order], return_inverse=True)
    block = torch.div(most[listed].cumsum(0), _MOST_LISTED, rounding_mode="floor")[number]
    for size in block.unique_consecutive(return_counts=True)[1].tolist():
        mine, order = order[:size], order[size:]
        mine = mine[torch.argsort(large[mine], stable=True)]
        compare = _compare if backend.compiled(graph.col) else _plain_compare
        shared[mine], first[mine], second[mine] = compare(graph, large[mine], small[mine], hops)
    shared = shared.cumsum(1).cumsum(2)
    shared = torch.where(swapped.view(-1, 1, 1), shared.transpose(1, 2), shared)
    turned = swapped.unsqueeze(1)
    return DistanceCounts(
        shared, torch.where(turned, second, first), torch.where(turned, first, second)
    )


def ball_bounds(graph: Graph, hops: int) -> Tensor:
    """No ball of ``hops`` steps has more nodes, (N,) float64: walks are counted, at most N."""
    bound = torch.ones(graph.num_nodes, 1, dtype=torch.float64, device=graph.col.device)
    for _ in range(hops):
        bound = (bound + pool(bound, graph.rowptr, graph.col)).clamp_(max=graph.num_nodes)
    return bound.squeeze(1)


def expected_ball(graph: Graph, hops: int) -> float:
    """At most how many nodes, on average over the ends of links, a ball has."""
    if graph.num_entries == 0:
        return 1.0
    weighted = ball_bounds(graph, hops) * graph.degree()
    return float(weighted.sum()) / graph.num_entries


def _compare(
    graph: Graph, large: Tensor, small: Tensor, hops: int
) -> tuple[Tensor, Tensor, Tensor]:
    """At each distance from both, and sizes of the balls; ``large`` ascends."""
    listed, number = torch.unique(small, return_inverse=True)
    sizes = listed.new_empty(listed.numel(), hops)
    given, cost = (graph.rowptr, graph.col), 10.0 * graph.num_entries / max(1, graph.num_nodes)
    balls = parallel(kernels.list_balls, listed.numel(), *given, listed, hops, sizes, cost=cost)
    ball = torch.cat([torch.from_numpy(part) for part in balls])
    places = offsets(sizes[:, -1])[number]
    marked, of_marked, pairs = large.unique_consecutive(return_inverse=True, return_counts=True)
    shared = large.new_empty(large.numel(), hops, hops)
    of_large, of_small = listed.new_empty(marked.numel(), hops), sizes[number]
    parallel(
        kernels.count_shared,
        marked.numel(),
        *(*given, marked, offsets(pairs), hops, places, ball, of_small, of_large, shared),
        cost=cost + ball.numel() / max(1, listed.numel()),
    )
    return shared, of_large[of_marked], of_small


def _plain_compare(
    graph: Graph, large: Tensor, small: Tensor, hops: int
) -> tuple[Tensor, Tensor, Tensor]:
    (of_large, sizes_of_large), (of_small, sizes_of_small) = (
        _plain_balls(graph, nodes, hops) for nodes in (large, small)
    )
    shared = large.new_zeros(large.numel(), hops, hops)
    for i, one in enumerate(of_large):
        for j, other in enumerate(of_small):
            both = one[torch.isin(one, other)]
            pair = torch.div(both, max(1, graph.num_nodes), rounding_mode="floor")
            shared[:, i, j] = torch.bincount(pair, minlength=large.numel())
    return shared, sizes_of_large, sizes_of_small


def _plain_balls(graph: Graph, nodes: Tensor, hops: int) -> tuple[list[Tensor], Tensor]:
    """``pair * N + node`` of the nodes at each distance, and how many are within, (B, K)."""
    n = max(1, graph.num_nodes)
    seen = torch.arange(nodes.numel(), device=nodes.device) * n + nodes
    shells, edge, counts = [], seen, []
    for hop in range(hops):
        pair = torch.div(edge, n, rounding_mode="floor")
        around = rows(graph, edge - pair * n)
        reached = torch.unique(pair[around.target] * n + around.node)
        edge = reached[~torch.isin(reached, seen)]
        shells.append(torch.cat([seen, edge]) if hop == 0 else edge)
        seen = torch.cat([seen, edge])
        pair = torch.div(seen, n, rounding_mode="floor")
        counts.append(torch.bincount(pair, minlength=nodes.numel()))
    return shells, torch.stack(counts, dim=1)
