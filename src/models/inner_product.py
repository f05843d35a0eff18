"""The inner product of both embeddings: the predictor of a graph autoencoder, without weights."""

from __future__ import annotations

from torch import Tensor

from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product


class InnerProduct(Predictor):
    """logit(u, v) = h_u · h_v (Kipf and Welling, arXiv 1611.07308)."""

    reach = 0
    product_of_ends = True

    @property
    def trainable(self) -> bool:
        """The embeddings are."""
        return True

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H); the graph is not read."""
        return pair_product(h, pairs).sum(dim=1)
