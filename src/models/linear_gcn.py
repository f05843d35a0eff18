"""Graph convolutions with nothing between them but dropout."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from runner.keys import InConfig, PositiveInt, Probability, Width
from runner.models.convolution import GCN
from runner.models.encoder import Encoder
from runner.models.mlp import Dropout
from runner.models.node_embedding import NodeEmbedding
from runner.models.sign import linear_of_propagated
from runner.ops.bipartite import Bipartite, first_rows
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows


class LinearGCN(Encoder):
    """x ← GCN(dropout(x)), in each layer; with ``residual`` x + that, after a Linear of features.

    As ELPH's (Chamberlain et al. 2023, arXiv 2209.15486).

    Args:
        num_features, num_categories: of the features, or of the learned embeddings.
        hidden: width H.
        layers: number of convolutions.
        residual: add a layer's input to its output.
        dropout: rate before each layer.
    """

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 2,
        residual: InConfig[bool] = False,
        dropout: InConfig[Probability] = 0.0,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.residual = residual
        self.drop = Dropout(dropout)
        self.input: nn.Module = nn.Identity()
        width = hidden
        if num_categories is not None:
            self.input = NodeEmbedding(num_categories, hidden)
        elif num_features is None:
            raise ValueError("give num_features of real features, or num_categories of ids")
        elif residual:
            self.input = nn.Linear(num_features, hidden)
        else:
            width = num_features
        widths = [width, *[hidden] * (layers - 1)]
        self.convolutions = nn.ModuleList(GCN(given, hidden) for given in widths)

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        x = features
        if isinstance(self.input, nn.Linear):
            x = linear_of_propagated(self.input, features, [])
        elif not isinstance(features, SparseRows):
            x = self.input(features)
        graphs = [graph] * len(self.convolutions) if isinstance(graph, Graph) else graph
        for convolution, own in zip(self.convolutions, graphs, strict=True):
            assert isinstance(convolution, GCN)
            out = self._convolve(convolution, x, own, weight)
            if self.residual:
                assert isinstance(x, Tensor)  # features have come through a Linear
                out = out + first_rows(x, out.size(0))
            x = out
        assert isinstance(x, Tensor)
        return x

    def _convolve(
        self,
        convolution: GCN,
        x: Tensor | SparseRows,
        graph: Graph | Bipartite,
        weight: Tensor | None,
    ) -> Tensor:
        given = graph.weight if isinstance(graph, Bipartite) else weight
        kept = self.drop(x) if isinstance(x, Tensor) else x.with_value(self.drop(x.value))
        return convolution(kept, graph, given)
