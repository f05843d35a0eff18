"""HL-GNN: a learned mixture of many propagations of one linear map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from runner.keys import InConfig, Positive, PositiveInt, Probability, Width
from runner.models.encoder import Encoder, layers_of
from runner.models.mlp import Dropout
from runner.models.node_input import FeatureLinear, NodeInput
from runner.ops.backend import exact
from runner.ops.bipartite import Bipartite, first_rows
from runner.ops.csr import Graph
from runner.ops.propagate import propagate
from runner.ops.sparse_rows import SparseRows

Start = Literal["rwr", "ki", "sgc", "random"]


class HLGNN(Encoder):
    """Σ_k m_k Â^k (dropout(x) W + b), k = 0 … K, m learned (KDD 2024, arXiv 2406.07979).

    Â = D^-1/2 (A + I) D^-1/2.

    Args:
        num_features: F, of real features; ignored where ``num_categories`` is given.
        num_categories: number of category ids, None for real features.
        num_nodes: of the whole graph, for an ``embedding`` beside real features.
        hidden: width H of the embeddings.
        layers: K, number of propagations.
        start: of m, see :func:`start_of_mixture`.
        alpha: of the start.
        input_dropout: rate before the linear map.
        embedding, embedding_first: see :class:`runner.models.node_input.NodeInput`.

    Raises:
        ValueError: if ``alpha`` does not fit ``start``.
    """

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        num_nodes: int | None = None,
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 20,
        start: InConfig[Start] = "rwr",
        alpha: InConfig[Positive | None] = 0.2,
        input_dropout: InConfig[Probability] = 0.0,
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
        self.dropout = Dropout(input_dropout)
        self.linear = FeatureLinear(self.input.width, hidden)
        self.mixture = nn.Parameter(start_of_mixture(start, layers, alpha))

    @property
    def layers(self) -> int | None:  # type: ignore[override]
        """How many steps away a node may be that has a part in an embedding."""
        return None if self.input.beside else len(self.mixture) - 1

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        x = self.input(features)
        # Dropout of the zeros of sparse features would change nothing.
        sparse = isinstance(x, SparseRows)
        x = x.with_value(self.dropout(x.value)) if sparse else self.dropout(x)
        h = exact(self.linear(x))
        out = self.mixture[0] * h
        for share, own in zip(
            self.mixture[1:], layers_of(graph, weight, len(self.mixture) - 1), strict=True
        ):
            h = propagate(h, *own)
            out = first_rows(out, h.size(0)) + share * h
        return out


def start_of_mixture(start: Start, steps: int, alpha: float | None) -> Tensor:
    """m_0 … m_K, (K + 1,), at the start.

    With a for alpha: ``rwr`` a (1 - a)^k, the last (1 - a)^K; ``ki`` a^k; ``sgc`` 1 at k = a, else
    0; ``random``, without a: uniform up to √(3 / (K + 1)), divided by the sum of absolute values.

    Raises:
        ValueError: if ``alpha`` does not fit.
    """
    k = torch.arange(steps + 1, dtype=torch.float64)
    if start == "random":
        if alpha is not None:
            raise ValueError(
                f"encoder.alpha={alpha:g} has no effect with encoder.start=random; give null"
            )
        drawn = (2 * torch.rand(steps + 1) - 1) * (3 / (steps + 1)) ** 0.5
        return drawn / drawn.abs().sum()
    if alpha is None:
        raise ValueError(f"encoder.start={start} needs encoder.alpha; give a number")
    if start == "sgc":
        if alpha not in range(steps + 1):
            raise ValueError(
                f"encoder.alpha={alpha:g}: with encoder.start=sgc it is a number of steps up to "
                f"encoder.layers={steps}"
            )
        return (k == alpha).float()
    if alpha >= 1:
        raise ValueError(f"encoder.alpha={alpha:g}: with encoder.start={start} it is below 1")
    if start == "ki":
        return (alpha**k).float()
    weight = alpha * (1 - alpha) ** k
    weight[-1] = (1 - alpha) ** steps
    return weight.float()
