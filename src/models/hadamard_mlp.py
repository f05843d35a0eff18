"""An MLP of the product of both embeddings: the plain baseline's predictor."""

from __future__ import annotations

from torch import Tensor, nn

from runner.keys import InConfig, PositiveInt, Probability, Width
from runner.models.mlp import MLP, ExactLinear
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product


class HadamardMLP(Predictor):
    """logit(u, v) = MLP(h_u ⊙ h_v), of Linear, dropout, ReLU, …, Linear to one logit.

    As the plain GNNs of the HeaRT benchmark (arXiv 2306.10453): to drop after the ReLU is the same.

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
        blocks = [
            (nn.Linear(hidden, hidden), nn.Dropout(dropout), nn.ReLU()) for _ in range(layers - 1)
        ]
        self.mlp = MLP(*(layer for block in blocks for layer in block), ExactLinear(hidden, 1))

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H); the graph is not read."""
        return self.mlp(pair_product(h, pairs)).squeeze(-1)
