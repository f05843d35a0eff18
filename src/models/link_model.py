"""The model that is trained: an encoder and a predictor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from ops.csr import Graph
from ops.sparse_rows import SparseRows


class LinkModel(nn.Module):
    """Scores pairs of nodes.

    Args:
        encoder: ``encoder(features, graph)`` gives embeddings (N, H).
        predictor: ``predictor(h, graph, pairs)`` gives logits (B,); if it has a method
            ``prepare(h, graph)``, that gives ``score(pairs)``, which gives the same.
    """

    def __init__(self, encoder: nn.Module, predictor: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor

    def encode(self, features: Tensor | SparseRows, graph: Graph) -> Tensor:
        """Embeddings, (N, H)."""
        return self.encoder(features, graph)

    def scorer(self, h: Tensor, graph: Graph) -> Callable[[Tensor], Tensor]:
        """What gives the logits, (B,), of pairs, (2, B): for many batches of one graph."""
        prepare = getattr(self.predictor, "prepare", None)
        return partial(self.predictor, h, graph) if prepare is None else prepare(h, graph)

    def forward(self, features: Tensor | SparseRows, graph: Graph, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B); the graph serves encoder and predictor alike."""
        return self.predictor(self.encode(features, graph), graph, pairs)
