"""Encoders of features that are propagated without weights in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.keys import InConfig, Layers, Probability, Width
from runner.models.batch_norm import BatchNorm
from runner.models.encoder import Encoder
from runner.models.mlp import MLP
from runner.models.node_embedding import NodeEmbedding
from runner.ops.bipartite import Bipartite, first_rows
from runner.ops.csr import Graph
from runner.ops.propagate import propagate
from runner.ops.sparse_rows import SparseRows


class SIGN(Encoder):
    """A Linear of propagated features; or of all powers of the propagation, as SIGN.

    h = W Â^k x + b, or with ``mixed`` W [z_0 ‖ … ‖ z_k] + b, z_i = ReLU(BatchNorm(W_i Â^i x + b_i))
    (Frasca et al. 2020, arXiv 2004.11198). Learned embeddings in the place of features get a Linear
    more at the end, as in BUDDY's release.

    Args:
        num_features, num_categories: of the features, or of the learned embeddings.
        num_nodes: N, for ``embedding``.
        hidden: width H.
        steps: k, of propagation.
        mixed: every power up to k takes part.
        powers: False propagates the features themselves in each step, so that all but the first
            take part as Â x: BUDDY's release does, of features.
        dropout: rate after each ReLU.
        embedding: of every node beside its features, learned, in a second part, (N, 2H) in all:
            plain through a Linear alone, propagated as the features are.

    Raises:
        ValueError: if a setting would have no effect, or ``embedding`` has no features beside it.
    """

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        num_nodes: int | None = None,
        hidden: InConfig[Width] = 64,
        steps: InConfig[Layers] = 1,
        mixed: InConfig[bool] = False,
        powers: InConfig[bool] = True,
        dropout: InConfig[Probability] = 0.0,
        embedding: InConfig[Literal["none", "plain", "propagated"]] = "none",
    ) -> None:
        super().__init__()
        for name, idle in (("powers", not powers), ("dropout", dropout > 0)):
            if idle and not mixed:
                raise ValueError(f"{name} has no effect with mixed=false; leave it out")
        if embedding != "none" and num_categories is not None:
            raise ValueError(
                f"embedding={embedding} is for graphs with features: without, embeddings are "
                "learned anyway, propagated by steps; give embedding=none"
            )
        if num_features is None and num_categories is None:
            raise ValueError("give num_features of real features, or num_categories of ids")
        self.hidden = hidden
        self.steps = steps
        self.powers = powers
        self.embedding = None if num_categories is None else NodeEmbedding(num_categories, hidden)
        width = num_features if num_categories is None else hidden
        assert width is not None
        self.chunks = nn.ModuleList()
        if mixed:
            for _ in range(steps + 1):
                self.chunks.append(_Chunk(width, hidden, dropout))
            width = (steps + 1) * hidden
        self.linear = nn.Linear(width, hidden)
        self.last = nn.Linear(hidden, hidden) if mixed and num_categories is not None else None
        self.beside = None
        if embedding != "none":
            alike = embedding == "propagated"
            self.beside = SIGN(
                num_categories=num_nodes,
                hidden=hidden,
                steps=steps if alike else 0,
                mixed=mixed and alike,
                dropout=dropout,
            )
        # What is not propagated knows nothing of a receptive field's numbers.
        self.layers = None if self.beside else steps if powers else min(steps, 1)

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        if self.embedding is not None:
            features = self.embedding(features)
        reach = self.steps if self.powers else min(self.steps, 1)
        graphs = [graph] * reach if isinstance(graph, Graph) else list(graph)
        if not self.chunks:
            h = linear_of_propagated(self.linear, features, graphs, weight)
        else:
            outputs = []
            for power, chunk in enumerate(self.chunks):
                last = graphs[reach - min(power, reach) :]
                rows = graphs[-1].num_nodes if graphs else None
                outputs.append(chunk(features, last, weight, rows))
            h = self.linear(torch.cat(outputs, dim=1))
        if self.last is not None:
            h = self.last(h)
        if self.beside is not None:
            ids = torch.arange(h.size(0), device=h.device)
            h = torch.cat([h, self.beside(ids, graph, weight)], dim=1)
        return h


class _Chunk(nn.Module):
    """One power of the propagation: ReLU(dropout(BatchNorm(W Â^k x + b)))."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, hidden)
        self.after = MLP(BatchNorm(hidden), nn.Dropout(dropout), nn.ReLU())

    def forward(
        self,
        x: Tensor | SparseRows,
        graphs: Sequence[Graph | Bipartite],
        weight: Tensor | None,
        rows: int | None,
    ) -> Tensor:
        """Of the first ``rows`` nodes; None for all."""
        out = linear_of_propagated(self.linear, x, graphs, weight)
        return self.after(out if rows is None else first_rows(out, rows))


def linear_of_propagated(
    linear: nn.Linear,
    x: Tensor | SparseRows,
    graphs: Sequence[Graph | Bipartite],
    weight: Tensor | None = None,
) -> Tensor:
    """W Â^k x + b, for k graphs; the narrower side is propagated."""
    mapped = linear.in_features > linear.out_features or isinstance(x, SparseRows)
    if isinstance(x, SparseRows):
        x = x.times(linear.weight.t().contiguous())
    elif mapped:
        x = F.linear(x, linear.weight)
    for graph in graphs:
        if isinstance(graph, Bipartite):
            x = first_rows(x, graph.num_nodes + graph.beyond.numel())
        x = propagate(x, graph, graph.weight if isinstance(graph, Bipartite) else weight)
    return x + linear.bias if mapped else linear(x)
