"""GAE+CN: the product of the embeddings and the number of common neighbours."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from runner.keys import InConfig, Probability, Width
from runner.models.explanation import COMMON, Explanation, part
from runner.models.mlp import head, neighbour_mlp, pair_mlp
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product
from runner.ops.edge_dropout import drop_entries
from runner.ops.overlap import common_neighbours


class GAECN(Predictor):
    """logit(u, v) = head(β f_cn(|N(u) ∩ N(v)|) + f_pair(h_u ⊙ h_v)).

    Args:
        hidden: width H of the embeddings.
        dropout: rate before every ReLU.
        edge_dropout: share of directed entries hidden from the count in training.
        last_linear: end f_cn and f_pair with a Linear (the release's form without is "tailact").
        two_layer_head: two hidden layers in the head (the release's "twolayerlin").
        layer_norm: LayerNorm in f_cn, f_pair and the head.
        beta: what the learned scalar β starts from.
    """

    reach = 1
    common_neighbours = "term"

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        dropout: InConfig[Probability] = 0.1,
        edge_dropout: InConfig[Probability] = 0.0,
        last_linear: InConfig[bool] = False,
        two_layer_head: InConfig[bool] = False,
        layer_norm: InConfig[bool] = True,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        self.edge_dropout = edge_dropout
        self.f_cn = neighbour_mlp(
            1, hidden, dropout=dropout, layer_norm=layer_norm, last_linear=last_linear
        )
        self.f_pair = pair_mlp(
            hidden, dropout=dropout, layer_norm=layer_norm, last_linear=last_linear
        )
        self.head = head(hidden, dropout=dropout, layer_norm=layer_norm, two_layer=two_layer_head)
        self.beta = nn.Parameter(torch.tensor([float(beta)]))

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H)."""
        graph = drop_entries(view.graph, self.edge_dropout) if self.training else view.graph
        count = common_neighbours(graph, pairs).counts().unsqueeze(1).to(h.dtype)
        return self.combine(count, pair_product(h, pairs))

    def combine(self, count: Tensor, product: Tensor) -> Tensor:
        """Logits, (B,), from numbers of common neighbours, (B, 1), and pair products, (B, H)."""
        f_pair = self.f_pair(product)  # first: the order decides which entries dropout draws
        return self.head(self.beta * self.f_cn(count) + f_pair).squeeze(-1)

    def why(self, h: Tensor, view: View) -> Callable[[Tensor], Explanation]:
        exact, graph = copy.deepcopy(self).double(), view.graph

        def explain(pair: Tensor) -> Explanation:
            node = common_neighbours(graph, pair).node
            product, count = pair_product(h, pair).double(), node.numel()
            whole, less = exact.combine(product.new_tensor([[count], [count - 1]]), product)
            each = (whole - less).expand(count)
            return Explanation(float(self(h, view, pair)), (part(graph, COMMON, node, each),))

        return explain
