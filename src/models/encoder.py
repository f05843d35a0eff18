"""The encoder: node features and a graph in, node embeddings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from runner.ops.bipartite import Bipartite
from runner.ops.csr import Adjacency, Graph
from runner.ops.message_weights import MessageWeights
from runner.ops.sparse_rows import SparseRows


class Encoder(nn.Module):
    """Embeds nodes. A subclass with ``__init__`` and ``forward`` is complete.

    It is built with ``num_features`` (F) and ``num_categories`` (the number of category ids, None
    for real features) beside the arguments of its config, and with ``num_nodes`` if it takes that.
    """

    layers: int | None = None
    """How many steps away a node may be that has a part in an embedding; None if not known."""

    needs_features: ClassVar[bool] = True
    """Whether it reads the nodes' features."""

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        """Embeddings, (N, H), of every node, or of the rows of the last of several graphs.

        Args:
            features: (N, F) floating point, dense or sparse, or (N,) int64 category ids.
            graph: for all layers, or one for each, from the features of all nodes to fewer rows.
            weight: (E,) of the graph's entries; None for ones. It scales their messages.
        """
        raise NotImplementedError

    def check(self, features: Tensor | SparseRows) -> None:
        """Refuse features that it cannot read, before a run begins.

        Raises:
            RunnerError: naming the remedy.
        """

    @property
    def start(self) -> tuple[str, Path] | None:
        """A finished run that it begins with: the key that names it, and its folder."""
        return None

    def begin(self, other: Encoder) -> None:
        """Take up what it needs of that run's encoder; its state has to hold it from then on.

        Called once, before the first step. A resume, or a trained run in use, has it from the
        checkpoint alone.

        Raises:
            RunnerError: if that encoder does not fit.
        """

    def every_layer(
        self, features: Tensor | SparseRows, graph: Graph, weight: Tensor | None = None
    ) -> list[Tensor]:
        """The outputs of the layers, the first one first; of an encoder that has none its own."""
        return [self(features, graph, weight)]

    def message_weights(self, graph: Graph) -> MessageWeights | None:
        """The weights that it gives its messages; None if it takes none as they are.

        An encoder that has them takes :class:`MessageWeights` as ``weight`` too.
        """
        return None

    def loss_terms(self) -> Mapping[str, Tensor]:
        """Further terms of the loss of what was just embedded, by name, scalars."""
        return {}


def layers_of(
    graph: Graph | Sequence[Graph | Bipartite], weight: Tensor | None, count: int
) -> list[tuple[Adjacency, Tensor | None]]:
    """The graph of each of ``count`` layers, and the weights, (E,), of its entries.

    Args:
        graph, weight: as an encoder is given them.

    Raises:
        ValueError: if weights are given for several graphs.
    """
    if isinstance(graph, Graph):
        return [(graph, weight)] * count
    if weight is not None:
        raise ValueError("edge weights belong to one graph for all layers")
    return [(own, own.weight if isinstance(own, Bipartite) else None) for own in graph]


class NoEncoder(Encoder):
    """No embeddings, (N, 0): for heuristics, which read the graph alone.

    Args:
        num_features, num_categories: of the features, which are not looked at.
    """

    needs_features = False

    def __init__(
        self, *, num_features: int | None = None, num_categories: int | None = None
    ) -> None:
        super().__init__()

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        assert isinstance(graph, Graph), "nothing is local without layers"
        return torch.zeros(graph.num_nodes, 0, device=graph.col.device)
