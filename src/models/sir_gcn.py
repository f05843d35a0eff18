"""SIR-GCN: messages in which an activation meets both ends."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from runner.keys import InConfig, NotNegative, Probability, Width
from runner.models.convolution import Convolution
from runner.models.mlp import Dropout
from runner.ops.aggregate import pool
from runner.ops.backend import exact
from runner.ops.bipartite import first_rows
from runner.ops.csr import Adjacency
from runner.ops.messages import Activation, pool_messages, reduce_messages
from runner.ops.propagate import degrees, row_sum

Aggregation = Literal["sum", "mean", "sym", "max"]
ActivationName = Literal["relu", "leaky_relu", "none", "gelu", "silu", "elu", "tanh"]
_SLOPE = 0.2  # of leaky_relu, as in the release


class SIR(Convolution):
    """W_R aggregate_v a(W_Q x_u + b_Q + W_K x_v) + b_R [+ W_S x_u], v the neighbours of u.

    The soft-isomorphic relational convolution of Lim et al. (2024), arXiv 2403.12529. Edge weights
    scale messages as in the other convolutions; a maximum has no expectation for them to keep.

    Args:
        aggregation: ``sum``, ``mean``, ``sym`` (each message over the square root of both degrees)
            or ``max`` (of the mapped messages W_R a(·) + b_R: E products with W_R).
        message_width: of the queries and keys; None for out_features.
        activation: a.
        negative_slope: of ``leaky_relu``; None for 0.2.
        query_bias, key_bias, relation_bias: whether W_Q, W_K and W_R have a bias; the release's
            published figures are with ``key_bias``, its last commit is without.
        bias_each: b_R is added to each message, as ``max`` always does, not once to what they
            come to: ``SIRConvBase`` with an MLP of two layers on [x_u ‖ x_v].
        own_term: whether W_S x_u is added; without it a node without neighbours is b_R, or 0.
        dropout: rate of queries and of keys.
        edge_width: of edge features, which are mapped without a bias and added within a; None for
            none.

    Raises:
        ValueError: if a setting has no effect.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        aggregation: Aggregation = "sum",
        message_width: int | None = None,
        activation: ActivationName = "relu",
        negative_slope: float | None = None,
        query_bias: bool = True,
        key_bias: bool = False,
        relation_bias: bool = True,
        bias_each: bool = False,
        own_term: bool = False,
        dropout: float = 0.0,
        edge_width: int | None = None,
    ) -> None:
        super().__init__(in_features, out_features)
        if negative_slope is not None and activation != "leaky_relu":
            raise ValueError(
                f"negative_slope={negative_slope} has no effect with activation={activation}; "
                "leave it out, or give activation=leaky_relu"
            )
        if bias_each and not relation_bias:
            raise ValueError("bias_each=true has no effect with relation_bias=false; leave one out")
        width = out_features if message_width is None else message_width
        self.aggregation, self.bias_each = aggregation, bias_each
        self.activation = Activation(
            activation, _SLOPE if negative_slope is None else negative_slope
        )
        self.query = nn.Linear(in_features, width, bias=query_bias)
        self.key = nn.Linear(in_features, width, bias=key_bias)
        self.relation = nn.Linear(width, out_features, bias=relation_bias)
        self.own = nn.Linear(in_features, out_features, bias=False) if own_term else None
        self.edge = None if edge_width is None else nn.Linear(edge_width, width, bias=False)
        self.drop = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        graph: Adjacency,
        weight: Tensor | None = None,
        edge_features: Tensor | None = None,
    ) -> Tensor:
        """Output (N, out_features).

        Args:
            x, graph, weight: see :class:`Convolution`.
            edge_features: (E, edge_width), of every entry of the graph.

        Raises:
            ValueError: if edge features are missing, or have no place.
        """
        if (edge_features is None) != (self.edge is None):
            raise ValueError("give edge_features if there is an edge_width, and only then")
        own = first_rows(x, graph.num_nodes)
        query, key = self.drop(self.query(own)), self.drop(self.key(x))

        def message(sums: Tensor, entries: slice) -> Tensor:
            if self.edge is not None and edge_features is not None:
                sums = sums + self.edge(edge_features[entries])
            return self.activation(sums)

        if self.aggregation == "max":
            out = reduce_messages(
                query, key, graph, lambda *of: self.relation(message(*of)), reduce="max"
            )
        else:
            # Each message is multiplied by shares of u and of v, and by the entry's weight.
            of_u, of_v = self._shares(graph, weight, exact(key))
            scale = None if of_v is None else of_v.squeeze(1)
            given = query, key, graph
            if self.edge is None:
                total = pool_messages(*given, self.activation, weight=weight, scale=scale)
            else:
                total = reduce_messages(*given, message, weight=weight, scale=scale)
            total = total if of_u is None else of_u * total
            if self.bias_each:
                ones = total.new_ones(x.size(0), 1) if of_v is None else of_v
                share = pool(ones, graph.rowptr, graph.col, weight=weight)
                share = share if of_u is None else of_u * share
                out = F.linear(total, self.relation.weight) + share * self.relation.bias
            else:
                out = self.relation(total)
        return out if self.own is None else out + self.own(own)

    def _shares(
        self, graph: Adjacency, weight: Tensor | None, like: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """What a message is multiplied by at u, (n, 1), and at v, (N, 1); None for one."""
        if self.aggregation == "sum":
            return None, None
        if self.aggregation == "mean":
            return _inverse(row_sum(graph, weight, like)), None
        root = _inverse(degrees(graph, weight, like)).sqrt()
        return first_rows(root, graph.num_nodes), root


def _inverse(total: Tensor) -> Tensor:
    return 1 / total.masked_fill(total == 0, 1)


def sir_convolution(
    *,
    aggregation: InConfig[Aggregation] = "sum",
    message_width: InConfig[Width | None] = None,
    activation: InConfig[ActivationName] = "relu",
    negative_slope: InConfig[NotNegative | None] = None,
    query_bias: InConfig[bool] = True,
    key_bias: InConfig[bool] = False,
    relation_bias: InConfig[bool] = True,
    bias_each: InConfig[bool] = False,
    own_term: InConfig[bool] = True,
    dropout: InConfig[Probability] = 0.0,
) -> type[Convolution]:
    """:class:`SIR` with these arguments, for `encoder.convolution`."""

    class Configured(SIR):
        def __init__(self, in_features: int, out_features: int) -> None:
            super().__init__(
                in_features,
                out_features,
                aggregation=aggregation,
                message_width=message_width,
                activation=activation,
                negative_slope=negative_slope,
                query_bias=query_bias,
                key_bias=key_bias,
                relation_bias=relation_bias,
                bias_each=bias_each,
                own_term=own_term,
                dropout=dropout,
            )

    return Configured
