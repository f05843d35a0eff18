"""The model that is trained: an encoder and a predictor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from runner.models.encoder import Encoder
from runner.models.explanation import Explanation
from runner.models.node_embedding import node_embeddings
from runner.models.predictor import Predictor, View
from runner.models.reweighting import Reweighting
from runner.ops.backend import exact
from runner.ops.bipartite import Bipartite
from runner.ops.csr import Graph
from runner.ops.message_weights import MessageWeights
from runner.ops.sparse_rows import SparseRows


class LinkModel(nn.Module):
    """Scores pairs of nodes.

    Args:
        encoder: ``encoder(features, graph)`` gives embeddings (N, H).
        predictor: ``predictor(h, view, pairs)`` gives logits (B,).
        precision: what Linears are computed in (autocast); sums over neighbours, LayerNorms and the
            completion's inner predictor, which has a precision of its own, stay float32. None for
            float32 everywhere.
        reweighting: the weights of the encoder's messages, where the run computes them.
    """

    def __init__(
        self,
        encoder: Encoder,
        predictor: Predictor,
        *,
        precision: torch.dtype | None = None,
        reweighting: Reweighting | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor
        self.precision = precision
        self.reweighting = reweighting
        self.frozen = False

    def freeze_encoder(self) -> None:
        """Keep the encoder as it is: in evaluation, without dropout, and without a gradient."""
        self.frozen = True
        self.encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> LinkModel:
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def encode(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | MessageWeights | None = None,
    ) -> Tensor:
        """Embeddings, (N, H); given a graph for every layer, of the nodes of the last one.

        Features in the host's memory are moved to where the predictor is, unless they are ids of
        learned embeddings that stay there too. Without weights those of the re-weighting count.
        """
        if weight is None and self.reweighting is not None:
            assert isinstance(graph, Graph), "encoding=local refuses a re-weighting"
            weight = self.message_weights(graph)
        device = next(self.predictor.parameters(), features).device
        if not any(embedding.stays for embedding in node_embeddings(self.encoder)):
            features = features.to(device)
        with self._autocast(device):
            if weight is None:
                return exact(self.encoder(features, graph))
            return exact(self.encoder(features, graph, weight))

    def message_weights(self, graph: Graph) -> MessageWeights | None:
        """Those of the re-weighting, on the graph of training; None without one."""
        return None if self.reweighting is None else self.reweighting.weights(graph)

    def score(self, h: Tensor, view: View | Graph, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H)."""
        with self._autocast(h.device):
            return exact(self.predictor(h, view, pairs))

    def scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        """What gives the logits, (B,), of pairs, (2, B): for many batches of one graph."""
        return self._exact_scorer(self.predictor.scorer, h, view)

    def fast_scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        """The same up to rounding, where the predictor has a faster way."""
        return self._exact_scorer(self.predictor.fast_scorer, h, view)

    def _exact_scorer(
        self, prepare: Callable[..., Callable[[Tensor], Tensor]], h: Tensor, view: View | Graph
    ) -> Callable[[Tensor], Tensor]:
        with self._autocast(h.device):
            prepared = prepare(h, view)

        def score(pairs: Tensor) -> Tensor:
            with self._autocast(h.device):
                return exact(prepared(pairs))

        return score

    def explainer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Explanation]:
        """What explains the scores of pairs, (2,) or (2, 1), of one graph in turn."""
        with self._autocast(h.device):
            prepared = self.predictor.explainer(h, view)

        def explain(pair: Tensor) -> Explanation:
            with self._autocast(h.device):
                return prepared(pair)

        return explain

    def loss_terms(self) -> Iterator[Tensor]:
        """Further terms of the loss of what was just computed, scalars."""
        for part in (self.encoder, self.predictor):
            yield from part.loss_terms().values()

    def forward(self, features: Tensor | SparseRows, graph: Graph, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B); the graph serves encoder and predictor alike."""
        return self.score(self.encode(features, graph), graph, pairs)

    def _autocast(self, device: torch.device) -> AbstractContextManager[object]:
        if self.precision is None:
            return nullcontext()
        return torch.autocast(device.type, self.precision, cache_enabled=False)
