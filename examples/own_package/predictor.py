"""A predictor that reads a table computed once a graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from runner.keys import Width
from runner.models.predictor import Predictor, View
from runner.ops.csr import Graph


class DegreeAware(Predictor):
    """logit(u, v) = a · (h_u ⊙ h_v) + b (log(1 + d_u) + log(1 + d_v)), d the degrees of the graph.

    Args:
        hidden: width H of the embeddings.
    """

    reach = 0

    def __init__(self, *, hidden: Width) -> None:
        super().__init__()
        self.product = nn.Linear(hidden, 1)
        self.weight = nn.Parameter(torch.zeros(1))

    def structure(self, graph: Graph) -> Any:
        return {"log_degree": torch.log1p(graph.degree().float())}

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        table = view.structure or self.structure(view.whole)
        ends = pairs if view.nodes is None else view.nodes[pairs]
        degrees = table["log_degree"][ends].sum(dim=0)
        return self.product(h[pairs[0]] * h[pairs[1]]).squeeze(-1) + self.weight * degrees
