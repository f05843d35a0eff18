"""NCN: the product of the embeddings and the pooled embeddings of the common neighbours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from runner.keys import InConfig, Probability, Width
from runner.models.mlp import head, neighbour_mlp, node_mlp, pair_mlp
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product
from runner.ops.csr import Graph
from runner.ops.edge_dropout import drop_entries
from runner.ops.overlap import pool_common_neighbours


class NCN(Predictor):
    """Neural common neighbour of Wang et al. (2024).

    logit(u, v) = head(β f_cn(Σ_{w ∈ N(u) ∩ N(v)} x_w) + f_pair(h_u ⊙ h_v)), where x = h + g(h), or
    h without the node transform.

    Args:
        hidden: width H of the embeddings.
        dropout: rate before every ReLU.
        edge_dropout: share of directed entries hidden from the neighbourhoods in training.
        node_transform: apply g.
        last_linear: end f_cn and f_pair with a Linear (the release's form without is "tailact").
        two_layer_head: two hidden layers in the head (the release's "twolayerlin").
        layer_norm: LayerNorm in f_cn, f_pair, g and the head.
        beta: what the learned scalar β starts from.
    """

    reach = 1
    common_neighbours = "term"

    pools_twice: ClassVar[bool] = False
    """Whether :meth:`pools` gives a second sum, for which there is then another f_cn, f_second."""

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        dropout: InConfig[Probability] = 0.1,
        edge_dropout: InConfig[Probability] = 0.0,
        node_transform: InConfig[bool] = True,
        last_linear: InConfig[bool] = False,
        two_layer_head: InConfig[bool] = False,
        layer_norm: InConfig[bool] = True,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        self.edge_dropout = edge_dropout
        self.g = (
            node_mlp(hidden, dropout=dropout, layer_norm=layer_norm) if node_transform else None
        )
        pooled_mlp = partial(
            neighbour_mlp,
            hidden,
            hidden,
            dropout=dropout,
            layer_norm=layer_norm,
            last_linear=last_linear,
        )
        self.f_cn = pooled_mlp()
        self.f_pair = pair_mlp(
            hidden, dropout=dropout, layer_norm=layer_norm, last_linear=last_linear
        )
        self.head = head(hidden, dropout=dropout, layer_norm=layer_norm, two_layer=two_layer_head)
        self.beta = nn.Parameter(torch.tensor([float(beta)]))
        self.f_second = pooled_mlp() if self.pools_twice else None

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H)."""
        return self.score(h, self.transform(h), self.thin(view.graph), pairs)

    def scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        x, graph = self.transform(h), View.of(view).graph
        return lambda pairs: self.score(h, x, self.thin(graph), pairs)

    def names_elsewhere(self, name: str) -> tuple[str, ...]:
        return (name, f"ncn.{name}")

    def may_start_alone(self, name: str) -> bool:
        return name.startswith("completion.")  # what an NCNC has beside its NCN

    def thin(self, graph: Graph) -> Graph:
        """The graph that neighbourhoods are read from: in training, one draw of edge dropout."""
        return drop_entries(graph, self.edge_dropout) if self.training else graph

    def transform(self, h: Tensor, *, dropout: bool | None = None) -> Tensor:
        """x, (N, H): what is pooled over neighbours; ``dropout`` None follows the mode."""
        if self.g is None:
            return h
        return h + self.g.run(h, dropout=self.training if dropout is None else dropout)

    def score(self, h: Tensor, x: Tensor, graph: Graph, pairs: Tensor) -> Tensor:
        """Logits, (B,), when h, x and the thinned graph are at hand."""
        pooled, second = self.pools(x, graph, pairs)
        del x  # as large as the graph, and of no more use where nobody else holds it
        return self.combine(pooled, pair_product(h, pairs), second)

    def pools(self, x: Tensor, graph: Graph, pairs: Tensor) -> tuple[Tensor, Tensor | None]:
        """The sums of x over the common neighbours and, in some relatives, over others; (B, H)."""
        return pool_common_neighbours(graph, pairs, x), None

    def combine(
        self,
        pooled: Tensor,
        product: Tensor,
        second: Tensor | None = None,
        *,
        dropout: bool | None = None,
    ) -> Tensor:
        """Logits, (B,), from the pooled neighbours and the pair product, (B, H) each.

        ``dropout`` None follows the mode.
        """
        assert (second is None) == (self.f_second is None), "pools_twice says what pools gives"
        drop = self.training if dropout is None else dropout
        joint = self.beta * self.f_cn.run(pooled, dropout=drop)
        joint.add_(self.f_pair.run(product, dropout=drop))
        if self.f_second is not None and second is not None:
            joint.add_(self.f_second.run(second, dropout=drop))
        return self.head.run(joint, dropout=drop).squeeze(-1)
