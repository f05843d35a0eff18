"""Training negatives: one draw for a whole epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.ops.csr import Graph


class UniformNonEdges:
    """Uniform pairs of different nodes that are no edge of the training graph, as the release."""

    def epoch(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        """One negative for each positive.

        Args:
            graph: the training graph.
            positives: (2, M) int64.
            generator: a CPU generator, whatever the device of the graph.

        Returns:
            (2, M) int64; a pair may occur more than once.

        Raises:
            RunnerError: if the graph is so dense that pairs without an edge are hardly found.
        """
        n, count = graph.num_nodes, positives.shape[1]
        if graph.num_entries > 0.99 * n * (n - 1):
            raise RunnerError(
                f"the training graph has {graph.num_entries // 2} edges on {n} nodes, almost all "
                "there can be: there are too few pairs without an edge to train against"
            )
        found: list[Tensor] = []
        missing = count
        while missing > 0:
            pairs = torch.randint(n, (2, missing + missing // 8 + 16), generator=generator)
            pairs = pairs.to(positives.device)
            pairs = pairs[:, (pairs[0] != pairs[1]) & (graph.find(pairs) < 0)][:, :missing]
            found.append(pairs)
            missing -= pairs.shape[1]
        return torch.cat(found, dim=1)


class RandomTargets:
    """The positive's source with a uniform target, which may by chance be an edge (citation2)."""

    def epoch(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        """One negative for each positive, (2, M) int64, in the order of the positives."""
        targets = torch.randint(graph.num_nodes, (positives.shape[1],), generator=generator)
        return torch.stack([positives[0], targets.to(positives.device)])
