"""GAE: a pair is scored by the product of its embeddings alone."""

from __future__ import annotations

from torch import Tensor

from runner.keys import InConfig, Probability, Width
from runner.models.mlp import head, pair_mlp
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product


class GAE(Predictor):
    """logit(u, v) = head(f_pair(h_u ⊙ h_v)).

    Args:
        hidden: width H of the embeddings.
        dropout: rate before every ReLU.
        last_linear: end f_pair with a Linear (the release's form without is "tailact").
        two_layer_head: two hidden layers in the head (the release's "twolayerlin").
        layer_norm: LayerNorm in f_pair and the head.
    """

    reach = 0

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        dropout: InConfig[Probability] = 0.1,
        last_linear: InConfig[bool] = False,
        two_layer_head: InConfig[bool] = False,
        layer_norm: InConfig[bool] = True,
    ) -> None:
        super().__init__()
        self.f_pair = pair_mlp(
            hidden, dropout=dropout, layer_norm=layer_norm, last_linear=last_linear
        )
        self.head = head(hidden, dropout=dropout, layer_norm=layer_norm, two_layer=two_layer_head)

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H); the graph is not read."""
        return self.head(self.f_pair(pair_product(h, pairs))).squeeze(-1)
