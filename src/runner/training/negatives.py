"""Training negatives: one draw for a whole epoch. The node `negatives` of the config."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.keys import Before, PositiveInt
from runner.ops.csr import Graph, offsets
from runner.ops.pairs import draw_pairs


class NegativeSampler:
    """Draws an epoch's training negatives. A subclass with ``draw`` is complete.

    Args:
        per_positive: negatives for each target link.
        redraw: draw anew in each epoch; else all epochs have those of the first.

    Attributes:
        num_sources: of a bipartite graph the nodes of its first side, which come first; the run
            sets it. None where every pair of nodes may be linked.
    """

    num_sources: int | None = None

    draws: ClassVar[bool] = True
    """Whether it gives any."""

    of_validation: ClassVar[bool] = False
    """Whether they are those of validation."""

    def __init__(
        self,
        *,
        per_positive: Annotated[PositiveInt, Before(1)] = 1,
        redraw: Annotated[bool, Before(True)] = True,
    ) -> None:
        self.per_positive = per_positive
        self.redraw = redraw

    def epoch(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        """Negatives of an epoch: (2, M), or (2, M, k) with k = ``per_positive`` above 1.

        Args:
            graph: the training graph.
            positives: (2, M) int64.
            generator: a CPU generator, whatever the device of the graph.
        """
        if not self.redraw:  # from its seed alone, so that a resume draws the same
            generator = torch.Generator().manual_seed(generator.initial_seed())
        if self.per_positive == 1:
            return self.draw(graph, positives, generator)
        repeated = positives.repeat_interleave(self.per_positive, dim=1)
        drawn = self.draw(graph, repeated, generator)
        return drawn.reshape(2, positives.shape[1], self.per_positive)

    def draw(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        """One negative for each column of ``positives``, (2, M) int64, in their order."""
        raise NotImplementedError


class UniformNonEdges(NegativeSampler):
    """Uniform pairs of different nodes that are no edge of the training graph, as the release."""

    def draw(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        """One negative for each positive, (2, M) int64; a pair may occur more than once.

        Raises:
            RunnerError: if the graph is so dense that pairs without an edge are hardly found.
        """
        n, count, sources = graph.num_nodes, positives.shape[1], self.num_sources
        possible = n * (n - 1) if sources is None else 2 * sources * (n - sources)
        if graph.num_entries > 0.99 * possible:
            raise RunnerError(
                f"the training graph has {graph.num_entries // 2} edges on {n} nodes, almost all "
                "there can be: there are too few pairs without an edge to train against"
            )
        found: list[Tensor] = []
        missing = count
        while missing > 0:
            pairs = draw_pairs(n, missing + missing // 8 + 16, generator, sources)
            pairs = pairs.to(positives.device)
            pairs = pairs[:, (pairs[0] != pairs[1]) & (graph.find(pairs) < 0)][:, :missing]
            found.append(pairs)
            missing -= pairs.shape[1]
        return torch.cat(found, dim=1)


class UniformPairs(NegativeSampler):
    """Uniform pairs of different nodes, which may by chance be links."""

    def draw(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        n, count = graph.num_nodes, positives.shape[1]
        if self.num_sources is not None:
            return draw_pairs(n, count, generator, self.num_sources).to(positives.device)
        first = torch.randint(n, (count,), generator=generator)
        second = torch.randint(n - 1, (count,), generator=generator)
        second += second >= first
        return torch.stack([first, second]).to(positives.device)


class RandomTargets(NegativeSampler):
    """The positive's source with a uniform target, which may by chance be an edge (citation2)."""

    def draw(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        n, count, first = graph.num_nodes, positives.shape[1], self.num_sources or 0
        targets = torch.randint(first, n, (count,), generator=generator)
        return torch.stack([positives[0], targets.to(positives.device)])


class ValidationNegatives(NegativeSampler):
    """Those of validation, in a new order each epoch, for an objective that learns from it.

    Attributes:
        given: (2, K) int64 of all links, or (2, M, K) of each; the run sets it.
    """

    of_validation = True
    given: Tensor

    def draw(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        count, size = positives.shape[1], self.given.shape[-1]
        if self.given.dim() == 3:
            link = torch.arange(count) // self.per_positive
            drawn = self.given[:, link, torch.randint(size, (count,), generator=generator)]
        else:
            rounds = [torch.randperm(size, generator=generator) for _ in range(-(-count // size))]
            drawn = self.given[:, torch.cat(rounds)[:count]]
        return drawn.to(positives.device)


class NoNegatives(NegativeSampler):
    """None, for an objective that takes none."""

    draws = False

    def epoch(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        return positives.new_empty(*positives.shape, 0)


class AmongNodes(NegativeSampler):
    """Those of another sampler, between some of the nodes: the others are not there in training.

    Args:
        nodes: (K,) int64, ascending; the others have no link in the training graph.
    """

    def __init__(self, sampler: NegativeSampler, nodes: Tensor) -> None:
        super().__init__(per_positive=sampler.per_positive, redraw=sampler.redraw)
        self.sampler = sampler
        self.nodes = nodes
        if sampler.num_sources is not None:
            sampler.num_sources = int((nodes < sampler.num_sources).sum())

    def epoch(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        nodes = self.nodes.to(positives.device)
        place = torch.zeros(graph.num_nodes, dtype=torch.int64, device=nodes.device)
        place[nodes] = torch.arange(len(nodes), device=nodes.device)
        col = place[graph.col.long()].to(graph.col.dtype)
        among = Graph(offsets(graph.degree()[nodes]), col, symmetric=graph.symmetric)
        return nodes[self.sampler.epoch(among, place[positives], generator)]
