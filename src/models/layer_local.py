"""Layers that learn alone: no gradient passes from one to another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from runner.keys import InConfig, PositiveInt, Width
from runner.models.convolution import GCN, Convolution
from runner.models.encoder import Encoder, layers_of
from runner.models.node_input import NodeInput
from runner.ops.bipartite import Bipartite, first_rows
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows

_EPS = 1e-8


class LayerLocal(Encoder):
    """z_l = ReLU(C_l(z_{l-1} / (|z_{l-1}| + 1e-8))), each row by its length, z_0 the input.

    The embeddings are the outputs of all layers side by side, which a predictor scores apart
    (ForwardGNN, arXiv 2403.11004, Algorithm 4). :meth:`learn` makes one layer the last, and the
    only one with a gradient.

    Args:
        num_features: F, of real features; ignored where ``num_categories`` is given.
        num_categories: number of category ids, which have learned rows, a part of the first layer;
            None for real features.
        hidden: width H of each layer.
        layers: number L of convolutions.
        convolution: class of every convolution C_l.

    Shapes:
        - output: (N, k H), of the k layers in use; k is L unless :meth:`learn` has set it.

    Raises:
        ValueError: if the convolution has no weights, or neither number is given.
    """

    in_use: Tensor
    """The number of layers that embed, a part of the weights: a run that is stopped between two
    layers is scored by those that have learned."""

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 2,
        convolution: InConfig[type[Convolution]] = GCN,
    ) -> None:
        super().__init__()
        if not convolution.has_weights:
            raise ValueError(
                f"encoder.convolution: {convolution.__name__} has no weights, so that a layer has "
                "nothing to learn; take another, as runner.models.convolution.GCN"
            )
        self.input = NodeInput(
            num_features=num_features,
            num_categories=num_categories,
            num_nodes=None,
            width=hidden,
            embedding=None,
            embedding_first=False,
        )
        self.hidden = hidden
        self.takes_sparse = convolution.takes_sparse
        widths = [self.input.width, *[hidden] * (layers - 1)]
        self.convolutions = nn.ModuleList(convolution(width, hidden) for width in widths)
        self.register_buffer("in_use", torch.tensor(layers))

    @property
    def layers(self) -> int:  # type: ignore[override]
        """How many steps away a node may be that has a part in an embedding."""
        return len(self.convolutions)

    def learn(self, layer: int) -> None:
        """Let this layer, counted from 0, learn alone; those above it have no part from now on."""
        self.in_use.fill_(layer + 1)
        self.input.requires_grad_(layer == 0)
        for number, convolution in enumerate(self.convolutions):
            convolution.requires_grad_(number == layer)

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        x = self.input(features)
        if isinstance(x, SparseRows) and not self.takes_sparse:
            x = x.to_dense()
        outputs = []
        graphs = layers_of(graph, weight, self.layers)
        used = list(zip(self.convolutions, graphs, strict=True))[: int(self.in_use)]
        for convolution, seen in used:
            x = convolution(_unit_rows(x), *seen).relu()
            outputs.append(x)
        count = graphs[-1][0].num_nodes
        return torch.cat([first_rows(out, count) for out in outputs], dim=1)


def _unit_rows(x: Tensor | SparseRows) -> Tensor | SparseRows:
    """Rows divided by their length + 1e-8."""
    if isinstance(x, Tensor):
        return x / (x.norm(dim=1, keepdim=True) + _EPS)
    squares = x.with_value(x.value.square())
    lengths = squares.times(x.value.new_ones(x.num_columns, 1)).sqrt().flatten()
    of_entry = lengths.repeat_interleave(x.rowptr.diff(), output_size=x.value.numel())
    return x.with_value(x.value / (of_entry + _EPS))
