"""Heuristics: scores of pairs that are read from the graph alone, without parameters.

Each is called as the predictors are, ``heuristic(h, view, pairs)``, and leaves h alone. Scores are
float64, so that sums over different neighbours tie only where they are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from runner.keys import AtATime, PositiveInt, Share, Weight
from runner.models.explanation import COMMON, Explanation, part
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.overlap import common_neighbours


class WeightedNeighbours(Predictor):
    """The sum over the common neighbours of a weight that their degree decides."""

    common_neighbours = "all"

    def weight(self, degree: Tensor) -> Tensor:
        """The weight of every node, (N,), from its degree, (N,) float64 of at least 2."""
        raise NotImplementedError

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Scores, (B,) float64, of ``pairs``, (2, B)."""
        common = common_neighbours(view.graph, pairs)
        return pool(self._weights(view.graph).unsqueeze(1), common.rowptr, common.node).squeeze(1)

    def why(self, h: Tensor, view: View) -> Callable[[Tensor], Explanation]:
        weights, graph = self._weights(view.graph), view.graph

        def explain(pair: Tensor) -> Explanation:
            node = common_neighbours(graph, pair).node
            terms = part(graph, COMMON, node, weights[node])
            return Explanation(float(self(h, view, pair)), (terms,))

        return explain

    def _weights(self, graph: Graph) -> Tensor:
        # A common neighbour of two nodes has two neighbours; only u = v may see fewer.
        return self.weight(graph.degree().clamp(min=2).double())


class CommonNeighbours(WeightedNeighbours):
    """|N(u) ∩ N(v)| (Newman 2001)."""

    def weight(self, degree: Tensor) -> Tensor:
        return torch.ones_like(degree)

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Scores, (B,) float64, of ``pairs``, (2, B)."""
        return common_neighbours(view.graph, pairs).counts().double()


class AdamicAdar(WeightedNeighbours):
    """Σ_{w ∈ N(u) ∩ N(v)} 1 / log |N(w)| (Adamic and Adar 2003)."""

    def weight(self, degree: Tensor) -> Tensor:
        return degree.log().reciprocal()


class ResourceAllocation(WeightedNeighbours):
    """Σ_{w ∈ N(u) ∩ N(v)} 1 / |N(w)| (Zhou et al. 2009)."""

    def weight(self, degree: Tensor) -> Tensor:
        return degree.reciprocal()


class WalkHeuristic(Predictor):
    """A score from walks that start at one node: a column over all nodes for each start.

    Takes time and memory in proportion to nodes times distinct endpoints: for small graphs.

    Args:
        starts_at_a_time: columns computed together, to bound memory.
    """

    both_directions: ClassVar[bool] = False
    """Whether the score of (u, v) is the sum of that from u at v and that from v at u."""

    def __init__(self, *, starts_at_a_time: AtATime = 256) -> None:
        super().__init__()
        if starts_at_a_time < 1:
            raise ValueError(f"starts_at_a_time must be at least 1, got {starts_at_a_time}")
        self.starts_at_a_time = starts_at_a_time

    def columns(self, graph: Graph, starts: Tensor) -> Tensor:
        """The score of every node from each of ``starts``, (S,): (N, S) float64."""
        raise NotImplementedError

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Scores, (B,) float64, of ``pairs``, (2, B)."""
        scores = self._from_first(view.graph, pairs[0], pairs[1])
        if self.both_directions:
            scores = scores + self._from_first(view.graph, pairs[1], pairs[0])
        return scores

    def _from_first(self, graph: Graph, first: Tensor, second: Tensor) -> Tensor:
        starts, index = torch.unique(first, return_inverse=True)
        scores = torch.zeros(first.numel(), dtype=torch.float64, device=first.device)
        for begin in range(0, starts.numel(), self.starts_at_a_time):
            chunk = starts[begin : begin + self.starts_at_a_time]
            columns = self.columns(graph, chunk)
            mine = (index >= begin) & (index < begin + chunk.numel())
            scores[mine] = columns[second[mine], index[mine] - begin]
        return scores


class PersonalisedPageRank(WalkHeuristic):
    """π_u(v) + π_v(u) of random walks that restart at u and at v (Page et al. 1999).

    Args:
        damping: probability of another step.
        iterations: of the power method; what is left out is below damping ** iterations.
    """

    both_directions = True

    def __init__(
        self,
        *,
        damping: Share = 0.85,
        iterations: PositiveInt = 50,
        starts_at_a_time: AtATime = 256,
    ) -> None:
        super().__init__(starts_at_a_time=starts_at_a_time)
        if not 0 < damping < 1:
            raise ValueError(f"damping must be between 0 and 1, got {damping}")
        self.damping = damping
        self.iterations = iterations

    def columns(self, graph: Graph, starts: Tensor) -> Tensor:
        restart = _one_hot(graph, starts)
        # A walk that cannot go on stays where it is.
        degree = graph.degree().double().unsqueeze(1)
        stuck = degree == 0
        rank = restart
        for _ in range(self.iterations):
            moved = pool(rank / degree.clamp(min=1), graph.rowptr, graph.col)
            moved = torch.where(stuck, rank, moved)
            rank = self.damping * moved + (1 - self.damping) * restart
        return rank


class Katz(WalkHeuristic):
    """Σ_l β^l · (number of walks of l steps from u to v), l from 1 to ``max_length`` (Katz 1953).

    The sum is cut off, so that it is finite for every β.

    Args:
        beta: weight of a step.
        max_length: steps of the longest walks that count.
    """

    def __init__(
        self,
        *,
        beta: Weight = 0.005,
        max_length: PositiveInt = 6,
        starts_at_a_time: AtATime = 256,
    ) -> None:
        super().__init__(starts_at_a_time=starts_at_a_time)
        if beta <= 0 or max_length < 1:
            raise ValueError(
                f"beta must be above 0 and max_length at least 1, got {beta}, {max_length}"
            )
        self.beta = beta
        self.max_length = max_length

    def columns(self, graph: Graph, starts: Tensor) -> Tensor:
        walks = _one_hot(graph, starts)
        total = torch.zeros_like(walks)
        for _ in range(self.max_length):
            walks = self.beta * pool(walks, graph.rowptr, graph.col)
            total = total + walks
        return total


class ShortestPath(WalkHeuristic):
    """1 / length of the shortest path between u and v; 0 where none of ``max_length`` steps is.

    A node's path to itself counts as one step.

    Args:
        max_length: steps of the longest paths that count.
    """

    def __init__(self, *, max_length: PositiveInt = 10, starts_at_a_time: AtATime = 256) -> None:
        super().__init__(starts_at_a_time=starts_at_a_time)
        if max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {max_length}")
        self.max_length = max_length

    def columns(self, graph: Graph, starts: Tensor) -> Tensor:
        reached = _one_hot(graph, starts)
        score = reached
        for length in range(1, self.max_length + 1):
            near = (pool(reached, graph.rowptr, graph.col) + reached > 0).double()
            new = near - reached
            if not bool(new.any()):
                break
            score = score + new / length
            reached = near
        return score


def _one_hot(graph: Graph, nodes: Tensor) -> Tensor:
    """(N, S) float64 with a one in row ``nodes[s]`` of every column s."""
    columns = torch.arange(nodes.numel(), device=nodes.device)
    x = torch.zeros(graph.num_nodes, nodes.numel(), dtype=torch.float64, device=nodes.device)
    x[nodes, columns] = 1
    return x
