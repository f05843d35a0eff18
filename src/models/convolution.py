"""Convolutions: one step of message passing each, `Conv(in_features, out_features)`.

A weight scales the message of a directed entry; edge dropout gives the kept entries 1 / (1 - p).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partialmethod
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from runner.models.node_input import FeatureLinear
from runner.ops.aggregate import pool
from runner.ops.bipartite import first_rows
from runner.ops.csr import Adjacency, Graph
from runner.ops.message_weights import MessageWeights
from runner.ops.propagate import propagate, propagate_without_loops, row_sum
from runner.ops.sparse_rows import SparseRows


class Convolution(nn.Module):
    """One step of message passing.

    Shapes:
        - input: ``x`` (N, in_features), ``graph`` of E entries, ``weight`` (E,) or None for ones
        - output: (N, out_features); of a bipartite graph ``x`` has more rows, the output one for
          every row of the graph
    """

    has_weights: ClassVar[bool] = True
    """Whether it maps features itself; the encoder gives those that do not a Linear of its own."""

    takes_weights: ClassVar[bool] = True
    """Whether a message can be weighed; else the encoder refuses edge dropout, which scales."""

    takes_sparse: ClassVar[bool] = False
    """Whether ``x`` may be :class:`~runner.ops.sparse_rows.SparseRows`, of a whole graph."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features

    @classmethod
    def with_options(cls, **options: Any) -> type[Convolution]:
        """The class whose convolutions are built with these further arguments."""
        return type(cls.__name__, (cls,), {"__init__": partialmethod(cls.__init__, **options)})

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}"

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def loss_terms(self) -> Mapping[str, Tensor]:
        """Further terms of the loss of what was just convolved, by name, scalars."""
        return {}

    @classmethod
    def message_weights(cls, graph: Graph) -> MessageWeights | None:
        """The weights that it gives its messages; None if it takes none as they are.

        A convolution that has them takes :class:`MessageWeights` as ``weight`` too.
        """
        return None


class PureConvolution(Convolution):
    """Propagation without parameters: the features keep their width.

    Raises:
        ValueError: if the widths differ.
    """

    has_weights = False

    def __init__(self, in_features: int, out_features: int) -> None:
        if in_features != out_features:
            raise ValueError(
                f"{type(self).__name__} has no weights to map {in_features} features to "
                f"{out_features}"
            )
        super().__init__(in_features, out_features)


class PureGCN(PureConvolution):
    """D^-1/2 (A + I) D^-1/2 x with D = 1 + the row sums of the (weighted) A."""

    def forward(
        self, x: Tensor, graph: Adjacency, weight: Tensor | MessageWeights | None = None
    ) -> Tensor:
        return propagate_or_sum(x, graph, weight)

    @classmethod
    def message_weights(cls, graph: Graph) -> MessageWeights:
        return MessageWeights.symmetric(graph)


class PureSum(PureConvolution):
    """The (weighted) sum of the neighbours, without the node itself."""

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        return pool(x, graph.rowptr, graph.col, weight=weight)


class PureMean(PureConvolution):
    """The (weighted) mean of the neighbours, without the node itself; zero where there is none."""

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        return neighbour_mean(x, graph, weight)


class PureMax(PureConvolution):
    """The maximum over the neighbours, zero where there is none.

    Weights are not applied: they keep a sum's expectation, and a maximum has none to keep.
    """

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        return pool(x, graph.rowptr, graph.col, reduce="max")


class GCN(Convolution):
    """Graph convolution of Kipf and Welling (2017), as PyG's ``GCNConv``.

    D^-1/2 (A + I) D^-1/2 x W + b; W starts from Glorot's uniform draw, b from zero. Features may be
    sparse.

    Args:
        bias: whether b is added.
    """

    takes_sparse = True

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True) -> None:
        super().__init__(in_features, out_features)
        self.linear = FeatureLinear(in_features, out_features, bias=False)
        nn.init.xavier_uniform_(self.linear.weight)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(
        self,
        x: Tensor | SparseRows,
        graph: Adjacency,
        weight: Tensor | MessageWeights | None = None,
    ) -> Tensor:
        # The two products commute: propagate whichever side is narrower.
        if isinstance(x, Tensor) and self.in_features < self.out_features:
            out = self.linear(propagate_or_sum(x, graph, weight))
            return out if self.bias is None else out + self.bias
        out = propagate_or_sum(self.linear(x), graph, weight)
        return out if self.bias is None else out.add_(self.bias)

    @classmethod
    def message_weights(cls, graph: Graph) -> MessageWeights:
        return MessageWeights.symmetric(graph)


class SumLinear(Convolution):
    """The (weighted) sum of the neighbours, without the node itself, times W, plus b.

    The "gin" of the NCN and OCN releases; W and b start as those of :class:`GCN`.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.linear = nn.Linear(in_features, out_features, bias=False)
        nn.init.xavier_uniform_(self.linear.weight)
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        if self.in_features < self.out_features:
            return self.linear(self.reduce(x, graph, weight)) + self.bias
        return self.reduce(self.linear(x), graph, weight) + self.bias

    def reduce(self, x: Tensor, graph: Adjacency, weight: Tensor | None) -> Tensor:
        """What the neighbours of every node are reduced to, (N, H)."""
        return pool(x, graph.rowptr, graph.col, weight=weight)


class MeanLinear(SumLinear):
    """The (weighted) mean of the neighbours, without the node itself, times W, plus b.

    The "sage" of the NCN and OCN releases.
    """

    def reduce(self, x: Tensor, graph: Adjacency, weight: Tensor | None) -> Tensor:
        return neighbour_mean(x, graph, weight)


class NoLoopGCN(Convolution):
    """ReLU(D^-1/2 A D^-1/2 x W) with D = 1 + the row sums of the (weighted) A, no self-loop.

    The "gcn" of the OCN release on ogbl-ppa and ogbl-citation2.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.linear = nn.Linear(in_features, out_features, bias=False)

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        if self.in_features < self.out_features:
            return self.linear(propagate_without_loops(x, graph, weight)).relu()
        return propagate_without_loops(self.linear(x), graph, weight).relu()


class SAGE(Convolution):
    """GraphSAGE of Hamilton et al. (2017): W1 mean(neighbours) + W2 x + b.

    Messages with weights of their own start from the mean over the neighbours and the node itself.

    The parameters are those of PyG's ``SAGEConv``; only its propagation is replaced, which would
    gather (E, in_features).
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.layer = _pyg_layers().SAGEConv(in_features, out_features)

    def forward(
        self, x: Tensor, graph: Adjacency, weight: Tensor | MessageWeights | None = None
    ) -> Tensor:
        own = self.layer.lin_r(first_rows(x, graph.num_nodes))
        if isinstance(weight, MessageWeights):
            return self.layer.lin_l(weight.sum(x, graph)) + own
        return self.layer.lin_l(neighbour_mean(x, graph, weight)) + own

    @classmethod
    def message_weights(cls, graph: Graph) -> MessageWeights:
        return MessageWeights.mean(graph)


class GIN(Convolution):
    """Graph isomorphism network of Xu et al. (2019): MLP((1 + ε) x + sum(neighbours)), ε learned.

    The parameters are those of PyG's ``GINConv`` around Linear, ReLU, Linear; only its propagation
    is replaced, which would gather (E, in_features).
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        mlp = nn.Sequential(
            nn.Linear(in_features, out_features), nn.ReLU(), nn.Linear(out_features, out_features)
        )
        self.layer = _pyg_layers().GINConv(mlp, train_eps=True)

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        neighbours = pool(x, graph.rowptr, graph.col, weight=weight)
        own = first_rows(x, graph.num_nodes)
        return self.layer.nn((1 + self.layer.eps) * own + neighbours)


def _pyg_layers() -> ModuleType:
    # Importing PyG takes seconds; only the two convolutions made of its layers need it.
    with warnings.catch_warnings():
        # PyG 2.8 calls torch.jit.script while it is imported, which torch 2.13 deprecates.
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        import torch_geometric.nn
    return torch_geometric.nn


def propagate_or_sum(x: Tensor, graph: Adjacency, weight: Tensor | MessageWeights | None) -> Tensor:
    """Normalised propagation, or the sum with weights that are taken as they are."""
    if isinstance(weight, MessageWeights):
        return weight.sum(x, graph)
    return propagate(x, graph, weight)


def neighbour_mean(x: Tensor, graph: Adjacency, weight: Tensor | None) -> Tensor:
    """The (weighted) mean of the neighbours, (N, H), zero where there is none."""
    if weight is None:
        return pool(x, graph.rowptr, graph.col, reduce="mean")
    total = row_sum(graph, weight, x)
    return pool(x, graph.rowptr, graph.col, weight=weight) / torch.where(total == 0, 1, total)
