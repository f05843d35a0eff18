"""LightGCN as Refined-GAE has it: one linear map, then a learned mixture of propagations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from runner.keys import InConfig, PositiveInt, Probability, Width
from runner.models.convolution import GCN
from runner.models.encoder import Encoder, layers_of
from runner.models.mlp import between
from runner.models.node_input import NodeInput
from runner.ops.backend import exact
from runner.ops.bipartite import Bipartite, first_rows
from runner.ops.csr import Graph
from runner.ops.propagate import propagate
from runner.ops.sparse_rows import SparseRows


class LightGCN(Encoder):
    """Σ_i m_i h_i with h_0 = Â x W, h_i = Â dropout([ReLU]([LayerNorm](h_{i-1}))), m = softmax(θ).

    Â = D^-1/2 (A + I) D^-1/2. As the encoder of Refined-GAE (arXiv 2411.03845) on small graphs.

    Args:
        num_features: F, of real features; ignored where ``num_categories`` is given.
        num_categories: number of category ids, None for real features.
        num_nodes: of the whole graph, for an ``embedding`` beside real features.
        hidden: width H of the embeddings.
        layers: number of propagations.
        mixture: start of θ, ones or 0.5^i.
        layer_norm, relu, hidden_dropout: before every propagation but the first.
        embedding, embedding_first: see :class:`runner.models.node_input.NodeInput`.
    """

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        num_nodes: int | None = None,
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 4,
        mixture: InConfig[Literal["ones", "halves"]] = "ones",
        layer_norm: InConfig[bool] = True,
        relu: InConfig[bool] = False,
        hidden_dropout: InConfig[Probability] = 0.1,
        embedding: InConfig[Width | None] = None,
        embedding_first: InConfig[bool] = False,
    ) -> None:
        super().__init__()
        self.input = NodeInput(
            num_features=num_features,
            num_categories=num_categories,
            num_nodes=num_nodes,
            width=hidden,
            embedding=embedding,
            embedding_first=embedding_first,
        )
        self.first = GCN(self.input.width, hidden, bias=False)
        self.between = nn.ModuleList(
            between(hidden, layer_norm=layer_norm, relu=relu, dropout=hidden_dropout)
            for _ in range(layers - 1)
        )
        base = 1.0 if mixture == "ones" else 0.5
        self.mixture = nn.Parameter(base ** torch.arange(layers, dtype=torch.float))

    @property
    def layers(self) -> int | None:  # type: ignore[override]
        """How many steps away a node may be that has a part in an embedding."""
        return None if self.input.beside else len(self.mixture)

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        seen = layers_of(graph, weight, len(self.mixture))
        share = self.mixture.softmax(dim=0)
        h = self.first(self.input(features), *seen[0])
        out = share[0] * exact(h)
        for i, before in enumerate(self.between, 1):
            h = propagate(before(h), *seen[i])
            out = first_rows(out, h.size(0)) + share[i] * h
        return out
