"""Weights of messages that are taken as they are, those of the nodes' own included."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.aggregate import pool
from runner.ops.csr import Adjacency, Graph


@dataclass(frozen=True, eq=False)
class MessageWeights:
    """A matrix on A + I: what a row receives from its neighbours, and from itself.

    No convolution normalises them.

    Shapes:
        entries: (E,) of the graph's entries. loops: (N,).
    """

    entries: Tensor
    loops: Tensor

    @classmethod
    def symmetric(cls, graph: Graph) -> MessageWeights:
        """D^-1/2 (A + I) D^-1/2 with D = 1 + degree, of Kipf and Welling (2017)."""
        scale = (1.0 + graph.degree()).rsqrt()
        return cls(scale[graph.row] * scale[graph.col.long()], scale.square())

    @classmethod
    def mean(cls, graph: Graph) -> MessageWeights:
        """D^-1 (A + I): the mean over a node and its neighbours."""
        share = (1.0 + graph.degree()).reciprocal()
        return cls(share[graph.row], share)

    def sum(self, x: Tensor, graph: Adjacency) -> Tensor:
        """The weighted sum of the rows of ``x`` (N, H) that each row of the graph receives."""
        x = backend.exact(x)
        pooled = pool(x, graph.rowptr, graph.col, weight=self.entries)
        return torch.addcmul(pooled, self.loops.to(x.dtype).unsqueeze(1), x)

    def row_sums(self, graph: Graph) -> Tensor:
        """What each row receives, (N,)."""
        return self.sum(self.loops.new_ones(graph.num_nodes, 1), graph).squeeze(1)

    def transposed(self, graph: Graph) -> MessageWeights:
        """Each entry of a symmetric graph with the weight of the opposite direction."""
        opposite = graph.find(torch.stack((graph.col.long(), graph.row)))
        return MessageWeights(self.entries[opposite], self.loops)

    def keep(self, mask: Tensor, factor: float = 1.0) -> MessageWeights:
        """``factor`` times those of the entries where ``mask``, (E,) bool, holds; all loops."""
        return MessageWeights(self.entries[mask] * factor, self.loops)
