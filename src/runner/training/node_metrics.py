"""Metrics of nodes, each ranked among all that it could be linked to.

Of k places, n links and a link that may stand, with equal scores, at any of several places: the
expected value over these orders.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runner.keys import PositiveInt
from runner.training.node_ranking import NodeMetric, Places


class _AtK(NodeMetric):
    kind: str

    def __init__(self, *, k: PositiveInt) -> None:
        self.name = f"{self.kind}@{k}"
        self.k = k

    def found(self, places: Places) -> Tensor:
        """The expected number of links among the first k, (Q,)."""
        return places.sum(((self.k - places.above).double() / places.tied).clamp(0, 1))


class PrecisionAtK(_AtK):
    """The share of links among the first k candidates."""

    kind = "precision"

    def of_nodes(self, places: Places) -> Tensor:
        return self.found(places) / self.k


class RecallAtK(_AtK):
    """The share of a node's links that are among the first k candidates."""

    kind = "recall"

    def of_nodes(self, places: Places) -> Tensor:
        return self.found(places) / places.links


class NDCGAtK(_AtK):
    """Σ 1/log₂(place + 1) over the links among the first k, divided by the highest possible sum."""

    kind = "ndcg"

    def of_nodes(self, places: Places) -> Tensor:
        gain = torch.zeros(self.k + 1, dtype=torch.float64)  # of all places up to one
        gain[1:] = (1 / torch.arange(2, self.k + 2, dtype=torch.float64).log2()).cumsum(0)
        begin = gain[places.above.clamp(max=self.k)]
        end = gain[(places.above + places.tied).clamp(max=self.k)]
        return places.sum((end - begin) / places.tied) / gain[places.links.clamp(max=self.k)]


class NodeMRR(NodeMetric):
    """1 / the expected place of a node's first link.

    For a node of one link this is MRR among all candidates, with ties counted half.
    """

    name = "node_mrr"

    def of_nodes(self, places: Places) -> Tensor:
        first = torch.full_like(places.nodes, torch.iinfo(torch.int64).max)
        first.scatter_reduce_(0, places.query, places.above, "amin")
        tied = torch.zeros_like(places.nodes).scatter_reduce_(
            0, places.query, places.tied * (places.above == first[places.query]), "amax"
        )
        together = places.sum(places.above == first[places.query])
        return 1 / (first + (tied + 1) / (together + 1))
