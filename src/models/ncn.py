"""NCN: the product of the embeddings and the pooled embeddings of the common neighbours."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from runner.keys import Before, InConfig, Probability, Width
from runner.models.explanation import COMMON, Explanation, Part, contributions, part
from runner.models.inner_ncn import InnerNCN
from runner.models.lcm import LCM
from runner.models.mlp import head, neighbour_mlp, node_mlp, pair_mlp
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product, pool
from runner.ops.csr import Graph, offsets
from runner.ops.edge_dropout import drop_entries
from runner.ops.overlap import (
    NeighbourLists,
    check_pairs,
    common_neighbours,
    pool_common_neighbours,
)

Members = Mapping[str, NeighbourLists]
Weighed = Sequence[tuple[str, NeighbourLists, Tensor | None]]


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
        pool: combines the neighbours of a list in the place of Σ, one for all lists; None for Σ.
    """

    reach = 1
    common_neighbours = "term"

    pools_twice: ClassVar[bool] = False
    """Whether :meth:`members` gives a second sum, which then has another f_cn, f_second."""

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
        pool: Annotated[LCM | None, Before(None)] = None,
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
        self.pool = pool

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H)."""
        return self.score(h, self.transform(h), self.read(view), pairs)

    def scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        x, seen = self.transform(h), View.of(view)
        if self.training:
            return lambda pairs: self.score(h, x, self.read(seen), pairs)
        graph = self.read(seen)
        return lambda pairs: self.score(h, x, graph, pairs)

    def fast_scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        """:class:`~runner.models.inner_ncn.InnerNCN`; without Σ, or with chance, the scorer."""
        learns = self.training or torch.is_grad_enabled()
        is_sum = type(self) is NCN and self.pool is None
        if learns or not is_sum or torch.is_autocast_enabled(h.device.type):
            return self.scorer(h, view)
        graph = View.of(view).graph
        inner = InnerNCN(self, h, self.transform(h), dropout=False)

        def score(pairs: Tensor) -> Tensor:
            check_pairs(graph, pairs)
            return inner(graph, pairs)

        return score

    def names_elsewhere(self, name: str) -> tuple[str, ...]:
        return (name, f"ncn.{name}")

    def may_start_alone(self, name: str) -> bool:
        return name.startswith("completion.")  # what an NCNC has beside its NCN

    def read(self, view: View) -> Graph:
        """The graph that neighbourhoods are read from: in training, one draw of edge dropout."""
        return self.thin(view.graph)

    def first_factor(self, view: View) -> Tensor | None:
        """The weight of every node in the first sum, (N,); None for ones."""
        return None

    def thin(self, graph: Graph) -> Graph:
        """One draw of edge dropout in training, the graph as it is in evaluation."""
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
        """The sums of x over the :meth:`members`, (B, H)."""
        if self.pool is not None:
            return self._reduced(self.pool, x, self.members(graph, pairs))
        if not self.pools_twice:
            return pool_common_neighbours(graph, pairs, x), None
        first, second = self.weighed(graph, pairs)
        return sum_over(x, first), sum_over(x, second)

    def _reduced(
        self, pool: LCM, x: Tensor, members: tuple[Members, Members]
    ) -> tuple[Tensor, Tensor | None]:
        """In the place of the sums; what a sum is over is one list."""
        lists = [NeighbourLists.joined(list(of.values())) for of in members if of]
        counts = torch.cat([of.counts() for of in lists])
        reduced = pool(x, offsets(counts), torch.cat([of.node for of in lists]))
        first, *second = reduced.tensor_split(len(lists))
        return first, second[0] if second else None

    def loss_terms(self) -> Mapping[str, Tensor]:
        return {} if self.pool is None else self.pool.loss_terms()

    def weighed(self, graph: Graph, pairs: Tensor) -> tuple[Weighed, Weighed]:
        """The :meth:`members` with a weight for each neighbour, (n,); None for ones."""
        first, second = (
            [(name, of, None) for name, of in lists.items()] for lists in self.members(graph, pairs)
        )
        return first, second

    def members(self, graph: Graph, pairs: Tensor) -> tuple[Members, Members]:
        """What the first sum and the second are over: lists of neighbours, by names for users."""
        return {COMMON: common_neighbours(graph, pairs)}, {}

    def why(self, h: Tensor, view: View) -> Callable[[Tensor], Explanation]:
        x, graph, exact = self.transform(h), self.read(view), self.exact()

        def explain(pair: Tensor) -> Explanation:
            product = pair_product(h, pair)
            if exact.pool is None:
                parts = exact.parts(graph, x, product, *self.weighed(graph, pair))
            else:
                parts = exact.parts_of_pool(exact.pool, graph, x, product, pair)
            return Explanation(float(self.score(h, x, graph, pair)), parts)

        return explain

    def exact(self) -> NCN:
        """A copy in float64: in float32, what one neighbour of many adds would be lost."""
        return copy.deepcopy(self).double()

    def parts(
        self, graph: Graph, x: Tensor, product: Tensor, first: Weighed, second: Weighed = ()
    ) -> tuple[Part, ...]:
        """What each neighbour adds to the logit of one pair, of an :meth:`exact` predictor.

        Args:
            product: (1, H) of the pair.
            first, second: names, lists and weights, (n,), of what the sums are over.
        """
        pooled, other = (
            (sum_over(x, lists) if lists else x.new_zeros(1, 1)).double()
            for lists in (first, second)
        )
        product = product.double()

        def score(pooled: Tensor, other: Tensor) -> Tensor:
            rows = max(pooled.size(0), other.size(0))
            second = other if self.pools_twice else None
            return self.combine(pooled.expand(rows, -1), product, second)

        of_first = partial(contributions, lambda changed: score(changed, other), pooled, x)
        of_second = partial(contributions, lambda changed: score(pooled, changed), other, x)
        return tuple(
            part(graph, name, of.node, without(of.node, _or_ones(weight, of.node, x)))
            for lists, without in ((first, of_first), (second, of_second))
            for name, of, weight in lists
        )

    def parts_of_pool(
        self, pool: LCM, graph: Graph, x: Tensor, product: Tensor, pair: Tensor
    ) -> tuple[Part, ...]:
        """As :meth:`parts`, where the lists have to be reduced again without each neighbour."""
        x, product, members = x.double(), product.double(), self.members(graph, pair)
        reduced = self._reduced(pool, x, members)
        whole, parts = self.combine(reduced[0], product, reduced[1]), []
        for which, lists in enumerate(members):
            for name, of in lists.items():
                joined = NeighbourLists.joined(list(lists.values()))
                less = list(reduced)
                less[which] = pool.without_each(x, joined.node, of.node)
                first, second = (None if r is None else r.expand(of.node.numel(), -1) for r in less)
                assert first is not None
                contribution = whole - self.combine(first, product, second)
                parts.append(part(graph, name, of.node, contribution))
        return tuple(parts)

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
        of_first, of_pair, of_second = self.factors()
        joint = of_first * self.f_cn.run(pooled, dropout=drop)
        joint.add_(_scaled(self.f_pair.run(product, dropout=drop), of_pair))
        if self.f_second is not None and second is not None:
            joint.add_(_scaled(self.f_second.run(second, dropout=drop), of_second))
        return self.head.run(joint, dropout=drop).squeeze(-1)

    def factors(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Of f_cn, f_pair and f_second in the head's input, (1,) each; None for one."""
        return self.beta, None, None


def sum_over(x: Tensor, lists: Weighed) -> Tensor:
    """Σ weight x_w over all lists, at least one, of every pair: (N, H) gives (B, H)."""
    return reduce(torch.add, [pool(x, of.rowptr, of.node, weight=w) for _, of, w in lists])


def _scaled(x: Tensor, factor: Tensor | None) -> Tensor:
    return x if factor is None else factor * x


def _or_ones(weight: Tensor | None, node: Tensor, like: Tensor) -> Tensor:
    return like.new_ones(node.numel()) if weight is None else weight
