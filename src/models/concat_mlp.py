"""An MLP of both embeddings side by side, in both orders."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from runner.keys import InConfig, PositiveInt, Probability, Width
from runner.models.mlp import MLP, ExactLinear
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import gather
from runner.ops.csr import check_ids


class ConcatMLP(Predictor):
    """logit(u, v) = (MLP([h_u, h_v]) + MLP([h_v, h_u])) / 2, as HL-GNN's release has it.

    Args:
        hidden: width H of the embeddings and of the layers.
        layers: number of Linears.
        dropout: rate before every ReLU.
    """

    reach = 0

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 2,
        dropout: InConfig[Probability] = 0.1,
    ) -> None:
        super().__init__()
        widths = [2 * hidden, *[hidden] * (layers - 1)]
        blocks = [
            (nn.Linear(width, hidden), nn.Dropout(dropout), nn.ReLU()) for width in widths[:-1]
        ]
        self.mlp = MLP(*(layer for block in blocks for layer in block), ExactLinear(widths[-1], 1))

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H); the graph is not read."""
        check_ids(pairs, h.size(0), "pairs")
        both = torch.cat([pairs, pairs.flip(0)], dim=1)
        logits = self.mlp(gather(h, both.t()).flatten(1)).squeeze(-1)
        return logits.view(2, -1).mean(dim=0)
