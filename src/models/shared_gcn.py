"""The GCNs of Refined-GAE: one convolution for all steps, residuals to the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from runner.keys import InConfig, NotNegative, PositiveInt, Probability, Width
from runner.models.convolution import GCN
from runner.models.encoder import Encoder, layers_of
from runner.models.mlp import between
from runner.models.node_input import FeatureLinear, NodeInput
from runner.ops.bipartite import Bipartite, first_rows
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows


class SharedGCN(Encoder):
    """Graph convolutions that share their weights (Refined-GAE, arXiv 2411.03845).

    With f_i = dropout([ReLU]([LayerNorm_i](·))), convolutions C and C' of Kipf and Welling, the
    input x and the residual's weight r:

    - ``embedding``: h_0 = C'(x) + r x, then h_i = C(f_i(h_{i-1})) + r x; x has the width of h.
    - ``features``: h_0 = C'(x), then h_i = C(f_i(h_{i-1})) + r h_0.
    - ``linear``: h_0 = f_0(x W + b), without W and b where the widths agree; then h_1 = C(h_0) and
      h_{i+1} = C(f_i(h_i + r h_0)).

    Args:
        num_features: F, of real features; ignored where ``num_categories`` is given.
        num_categories: number of category ids, None for real features.
        num_nodes: of the whole graph, for an ``embedding`` beside real features.
        form: see above.
        hidden: width H of the embeddings.
        layers: number of convolutions.
        residual_weight: r.
        layer_norm, relu, hidden_dropout: of f.
        embedding, embedding_first: see :class:`runner.models.node_input.NodeInput`.

    Raises:
        ValueError: if a residual to the input meets another width, or there is none to have it.
    """

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        num_nodes: int | None = None,
        form: InConfig[Literal["embedding", "features", "linear"]] = "features",
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 2,
        residual_weight: InConfig[NotNegative] = 0.0,
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
        width = self.input.width
        if form == "embedding" and residual_weight and width != hidden:
            raise ValueError(
                f"encoder.residual_weight={residual_weight:g}: the input is {width} wide and the "
                f"convolutions encoder.hidden={hidden}; give encoder.form=features, or 0"
            )
        if form != "embedding" and residual_weight and layers == 1:
            raise ValueError(
                f"encoder.residual_weight={residual_weight:g}: it has no effect with "
                "encoder.layers=1; leave it out, or give more layers"
            )
        self.form = form
        self.residual_weight = residual_weight
        self._count = layers
        self.first: nn.Module = nn.Identity()
        if form != "linear":
            self.first = GCN(width, hidden)
        elif width != hidden:
            self.first = FeatureLinear(width, hidden)
        self.shared: nn.Module = nn.Identity()  # a single layer of the other forms has none
        if form == "linear" or layers > 1:
            self.shared = GCN(hidden, hidden)
        self.between = nn.ModuleList(
            between(hidden, layer_norm=layer_norm, relu=relu, dropout=hidden_dropout)
            for _ in range(layers - (form != "linear"))
        )

    @property
    def layers(self) -> int | None:  # type: ignore[override]
        """How many steps away a node may be that has a part in an embedding."""
        return None if self.input.beside else self._count

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        seen = layers_of(graph, weight, self._count)
        x = self.input(features)
        if self.form == "linear":
            first, *between = self.between
            origin = first(self.first(x))
            h = self.shared(origin, *seen[0])
            for before, own in zip(between, seen[1:], strict=True):
                h = self.shared(before(self._add(h, origin)), *own)
            return h
        h = self.first(x, *seen[0])
        origin = x if self.form == "embedding" else h
        if self.form == "embedding":
            h = self._add(h, origin)
        for before, own in zip(self.between, seen[1:], strict=True):
            h = self._add(self.shared(before(h), *own), origin)
        return h

    def _add(self, h: Tensor, origin: Tensor | SparseRows) -> Tensor:
        if not self.residual_weight:
            return h
        whole = origin.to_dense() if isinstance(origin, SparseRows) else origin
        return h + self.residual_weight * first_rows(whole, h.size(0))
