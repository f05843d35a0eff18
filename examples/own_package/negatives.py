"""A sampler of training negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops.csr import Graph
from runner.training.negatives import NegativeSampler


class ByDegree(NegativeSampler):
    """The positive's source with a target drawn in proportion to its degree."""

    def draw(self, graph: Graph, positives: Tensor, generator: torch.Generator) -> Tensor:
        ends = torch.randint(graph.num_entries, (positives.shape[1],), generator=generator)
        return torch.stack([positives[0], graph.col[ends.to(graph.col.device)].long()])
