"""A convolution: a node's own features beside the mean of its neighbours'."""

from __future__ import annotations

from torch import Tensor, nn

from runner.models.convolution import Convolution, neighbour_mean
from runner.ops.bipartite import first_rows
from runner.ops.csr import Adjacency


class Halves(Convolution):
    """W (x / 2 + mean of the neighbours / 2)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        mean = neighbour_mean(x, graph, weight)
        return self.linear((first_rows(x, graph.num_nodes) + mean) / 2)
