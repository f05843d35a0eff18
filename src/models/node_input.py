"""What an encoder starts from: real features, learned embeddings, or both side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from runner.models.node_embedding import NodeEmbedding
from runner.ops.sparse_rows import SparseRows


class FeatureLinear(nn.Linear):
    """A Linear of features that may be sparse."""

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        if not isinstance(x, SparseRows):
            return super().forward(x)
        product = x.times(self.weight.t().contiguous())
        return product if self.bias is None else product + self.bias


class NodeInput(nn.Module):
    """Real features as they are, a row for every category, or features and a row for every node.

    Args:
        num_features: F, of real features; ignored where ``num_categories`` is given.
        num_categories: number of category ids, None for real features.
        num_nodes: of the whole graph; needed for embeddings beside real features alone.
        width: of the rows of categories.
        embedding: width of a learned row for every node beside its real features, or of the rows of
            categories in the place of ``width``; None for none beside.
        embedding_first: the learned row stands before the features.

    Attributes:
        width: of the output.
        beside: whether the learned rows stand beside real features.

    Raises:
        ValueError: if neither number is given, or ``embedding_first`` has nothing to order.
    """

    def __init__(
        self,
        *,
        num_features: int | None,
        num_categories: int | None,
        num_nodes: int | None,
        width: int,
        embedding: int | None,
        embedding_first: bool,
    ) -> None:
        super().__init__()
        if num_features is None and num_categories is None:
            raise ValueError("give num_features of real features, or num_categories of ids")
        self.beside = num_categories is None and embedding is not None
        self.embedding_first = embedding_first
        if embedding_first and not self.beside:
            raise ValueError(
                "encoder.embedding_first=true: there are no embeddings beside real features; leave "
                "it out"
            )
        self.embedding: NodeEmbedding | None = None
        if num_categories is not None:
            self.width = width if embedding is None else embedding
            self.embedding = NodeEmbedding(num_categories, self.width)
            return
        assert num_features is not None
        self.width = num_features
        if embedding is not None:
            if num_nodes is None:
                raise ValueError("give num_nodes of the graph for embeddings beside its features")
            self.width += embedding
            self.embedding = NodeEmbedding(num_nodes, embedding)

    def forward(self, features: Tensor | SparseRows) -> Tensor | SparseRows:
        """(N, width), of features (N, F) or of ids (N,) int64.

        Raises:
            ValueError: if learned rows stand beside features, which are not those of all nodes.
        """
        if self.embedding is None:
            return features
        if not self.beside:
            assert isinstance(features, Tensor)
            return self.embedding(features)
        rows = features.to_dense() if isinstance(features, SparseRows) else features
        count = self.embedding.num_embeddings
        if rows.size(0) != count:
            raise ValueError(f"got features of {rows.size(0)} nodes, and embeddings of {count}")
        learned = self.embedding(torch.arange(count))
        rows = rows.to(learned.device)
        return torch.cat([learned, rows] if self.embedding_first else [rows, learned], dim=1)
