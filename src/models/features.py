"""The nodes' features, mapped to a width: for predictors that pass messages themselves."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from runner.keys import InConfig, Width
from runner.models.encoder import Encoder
from runner.ops.bipartite import Bipartite
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows

log = logging.getLogger(__name__)


class Features(Encoder):
    """x W, (N, H), of each node alone; (N, 0) where nodes have no features, but only category ids.

    Args:
        hidden: width H.
        num_features, num_categories: of the features.
    """

    layers = 0

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        hidden: InConfig[Width] = 32,
    ) -> None:
        super().__init__()
        self.linear: nn.Linear | None = None
        if num_categories is None:
            assert num_features is not None, "features have a width"
            self.linear = nn.Linear(num_features, hidden, bias=False)
        else:
            log.info("encoder: the nodes have no features of their own; embeddings are empty")

    @property
    def needs_features(self) -> bool:  # type: ignore[override]
        """Whether the nodes have features."""
        return self.linear is not None

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        if self.linear is None:
            rows = (
                features.rowptr.numel() - 1 if isinstance(features, SparseRows) else len(features)
            )
            return torch.zeros(rows, 0, device=features.device)
        if isinstance(features, SparseRows):
            return features.times(self.linear.weight.t().contiguous())
        return self.linear(features)
