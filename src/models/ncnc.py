"""NCNC: NCN whose neighbourhoods are completed by an inner NCN first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from runner.keys import Before, Depth, InConfig, Probability, Width
from runner.models.completion import Completion
from runner.models.explanation import COMMON, PROBABILITY, SOURCE_ALONE, TARGET_ALONE, Explanation
from runner.models.inner_ncn import InnerNCN
from runner.models.lcm import LCM
from runner.models.ncn import NCN, Weighed, sum_over
from runner.models.predictor import Predictor, View
from runner.ops import dense
from runner.ops.aggregate import pair_product
from runner.ops.csr import Graph
from runner.ops.distinct import PairTable
from runner.ops.overlap import NeighbourLists, neighbourhoods

Completed = Sequence[tuple[NeighbourLists, Tensor]]  # the neighbours of each side, weighed

_PAIR_BYTES = 64  # of a pair or a neighbour in lists: ids, list, position, logit, weight
_TABLES = 0.5  # of the completion's memory, what tables of inner logits may take
_MATRICES = 6  # of the width of the embeddings, at the most at a time


class NCNC(Predictor):
    """Neural common neighbour with completion of Wang et al. (2024).

    NCN with P(v, w) x_w pooled over w ∈ N(u) \\ N(v) and P(u, w) x_w over w ∈ N(v) \\ N(u) as well;
    P is :class:`~runner.models.completion.Completion` of the same NCN's logit, without gradient.
    At depth 2 (NCNC-2) it is that of the logit of an NCNC of depth 1 with the same weights, and so
    on.

    As in the release, the inner predictor receives x = h + g(h) as its embedding: g acts twice
    there, and the inner pair product is x_u ⊙ x_v.

    As in the release, in training the inner predictor runs with dropout, and edge dropout is drawn
    again on the thinned graph for every side and chunk; g, though, is drawn once for all of them.
    With ``completion.dropout`` off, it scores as in evaluation, on the outer pairs' graph; h and x,
    which it starts from, have had their own dropout.

    Args:
        completion: the completion stage; by default one with its defaults.
        depth: how many times neighbourhoods are completed, at least 1.
        pool: None alone, see Raises.

    The other arguments are those of :class:`~runner.models.ncn.NCN`.

    Raises:
        ValueError: if ``depth`` is below 1, or ``pool`` is given: see :func:`refuse_pool`.
    """

    column = "completion"
    common_neighbours = "term"
    published_with: ClassVar[Mapping[str, Any]] = {"depth": 1}

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
        completion: InConfig[Completion] = None,  # type: ignore[assignment]
        depth: Depth = 1,
        beta: float = 1.0,
        pool: Annotated[LCM | None, Before(None)] = None,
    ) -> None:
        super().__init__()
        refuse_pool(pool)
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}; without completion use ncn")
        self.depth = depth
        self.ncn = NCN(
            hidden=hidden,
            dropout=dropout,
            edge_dropout=edge_dropout,
            node_transform=node_transform,
            last_linear=last_linear,
            two_layer_head=two_layer_head,
            layer_norm=layer_norm,
            beta=beta,
        )
        self.completion = Completion() if completion is None else completion

    @property
    def reach(self) -> int:  # type: ignore[override]
        """Steps from a pair within which embeddings are read: one more at every level."""
        return max(self.depth, self.ncn.reach or 0)

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H)."""
        levels = self._levels(h, view, remember=self.depth > 1)
        pools = self._pools(levels, self.ncn.read(view), pairs)
        del levels  # as large as the graph, and of no more use
        return self.ncn.combine(*pools)

    def scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        """What gives the logits, (B,), of pairs, (2, B), for many batches of one graph in turn.

        In evaluation, and if the graph is small enough for a table of all pairs, an inner pair that
        was scored for one call is not scored again for the next.
        """
        seen = View.of(view)
        levels = self._levels(h, seen, remember=True)
        if self.training:
            return lambda pairs: self.ncn.combine(*self._pools(levels, self.ncn.read(seen), pairs))
        graph = self.ncn.read(seen)
        return lambda pairs: self.ncn.combine(*self._pools(levels, graph, pairs))

    def names_elsewhere(self, name: str) -> tuple[str, ...]:
        return (name, name.removeprefix("ncn."))

    def may_start_alone(self, name: str) -> bool:
        return name.startswith("completion.")  # a learned prior, which an NCN has not

    def distributions(
        self, h: Tensor, view: View | Graph, pairs: Tensor, *, most: int
    ) -> Mapping[str, Tensor]:
        values = self.completion_probabilities(h, view, pairs, most=most)
        return {"completion_probabilities": values}

    def why(self, h: Tensor, view: View) -> Callable[[Tensor], Explanation]:
        """See :meth:`Predictor.why`; with ``keep_eval``, of the neighbours that this score draws.

        A neighbour's weight is its completion probability, alpha included; where neighbours are
        drawn, times the weight of the draw.
        """
        levels, graph = self._levels(h, view, remember=True), self.ncn.read(view)
        x, exact = levels.embeddings[1], self.ncn.exact()
        column = PROBABILITY if self.completion.keep is None else "weight"

        def explain(pair: Tensor) -> Explanation:
            common, completed, product = self._completed(levels, graph, pair)
            first, second = levels.weigh(common, completed), self._second(graph, pair)
            of_common, *others = exact.parts(graph, x, product, first, second)
            sides = [
                replace(side, columns={**side.columns, column: weight})
                for side, (_, weight) in zip(others, completed, strict=False)
            ]
            score = self.ncn.combine(sum_over(x, first), product, _sum_second(x, second))
            return Explanation(float(score), (of_common, *sides, *others[len(sides) :]))

        return explain

    @torch.no_grad()
    def completion_probabilities(
        self, h: Tensor, view: View | Graph, pairs: Tensor, *, most: int
    ) -> Tensor:
        """P of one-sided neighbours of ``pairs``, (2, B), from embeddings (N, H): (n,), n ≤ most.

        Those of both sides, weighed as in evaluation, alpha included; of more than ``most``,
        evenly spaced ones. ``keep_eval`` thins the levels below alone.

        Raises:
            RuntimeError: in training mode, where P has chance in it.
        """
        if self.training:
            raise RuntimeError(
                "completion probabilities are those of evaluation: call eval() first"
            )
        seen = View.of(view)
        levels, graph = self._levels(h, seen, remember=False), seen.graph
        _, only_u, only_v = neighbourhoods(graph, pairs)
        inner = torch.cat(
            [
                torch.stack((other[lists.target], lists.node))
                for other, lists in ((pairs[1], only_u), (pairs[0], only_v))
            ],
            dim=1,
        )
        pair = torch.cat((only_u.target, only_v.target))
        step = max(1, -(-pair.numel() // most))
        inner, pair = inner[:, ::step], pair[::step]
        prior = self.completion.log_prior(pair_product(h, pairs))
        if pair.numel() == 0:
            return prior.new_zeros(0)
        logit = self._logit(levels.below(), graph, inner)
        return self.completion.probability(logit, prior[pair])

    @property
    def _inner_dropout(self) -> bool:
        return self.training and self.completion.dropout

    def _levels(self, h: Tensor, view: View, *, remember: bool) -> _Levels:
        dropout, tables, factor = self._inner_dropout, None, self.ncn.first_factor(view)
        embeddings = [h, self.ncn.transform(h)]
        with torch.no_grad():
            for _ in range(self.depth):
                embeddings.append(self.ncn.transform(embeddings[-1], dropout=dropout))
        inner_h, inner_x = embeddings[-2:]
        if factor is not None:
            inner_x = inner_x * factor.unsqueeze(1).to(inner_x.dtype)
        innermost = InnerNCN(
            self.ncn, inner_h, inner_x, dropout=dropout, dtype=self.completion.precision
        )
        room = self.completion.memory_gib * 2**30 * _TABLES / self.depth
        if remember and not dropout and PairTable.size(h.size(0), h) <= room:
            tables = [PairTable(h.size(0), h) for _ in range(self.depth)]
        return _Levels(embeddings[:-1], innermost, tables or [None] * self.depth, factor)

    def _logit(self, levels: _Levels, graph: Graph, pairs: Tensor) -> Tensor:
        """Inner logits, (B,), on a thinned graph."""
        if not levels.tables:
            return levels.innermost(graph, pairs)
        pools = self._pools(levels, graph, pairs)
        return self.ncn.combine(*pools, dropout=self._inner_dropout)

    def _pools(
        self, levels: _Levels, graph: Graph, pairs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Sums over the completed neighbourhoods, pair products, and second sums; (B, H)."""
        common, completed, product = self._completed(levels, graph, pairs)
        x = levels.embeddings[1]
        pooled = sum_over(x, levels.weigh(common, completed))
        return pooled, product, _sum_second(x, self._second(graph, pairs))

    def _second(self, graph: Graph, pairs: Tensor) -> Weighed:
        """What the second sum is over, if the NCN has one."""
        return self.ncn.weighed(graph, pairs)[1] if self.ncn.pools_twice else ()

    def _completed(
        self, levels: _Levels, graph: Graph, pairs: Tensor
    ) -> tuple[NeighbourLists, Completed, Tensor]:
        """Common neighbours, of each side the others with their weights, and pair products."""
        h, x = levels.embeddings[:2]
        below = levels.below()
        common, only_u, only_v = neighbourhoods(graph, pairs)
        product = pair_product(h, pairs)

        def inner_logit(inner_pairs: Tensor) -> Tensor:
            thinned = self.ncn.thin(graph) if self._inner_dropout else graph
            return self._logit(below, thinned, inner_pairs)

        sampled_below = bool(below.tables) and self.completion.keep is not None
        each_once = not (self._inner_dropout or sampled_below)
        completed = self.completion(
            inner_logit,
            [(pairs[1], only_u), (pairs[0], only_v)],
            self.completion.log_prior(product),
            bytes_a_pair=self._bytes_a_pair(graph, x, None if below.tables else levels.innermost),
            each_once=graph.num_nodes if each_once else None,
            table=levels.tables[0],
        )
        return common, completed, product

    def _bytes_a_pair(self, graph: Graph, x: Tensor, innermost: InnerNCN | None) -> float:
        """Memory that an inner pair takes, about, when all of a chunk are scored at once."""
        if innermost is not None and innermost.in_blocks:
            return _PAIR_BYTES
        matrices = _PAIR_BYTES + _MATRICES * x.size(1) * x.element_size()
        # Below, edges may be dropped once more, which can make the graph too thin for products.
        thinned = self._inner_dropout and self.ncn.edge_dropout > 0
        if innermost is not None and not thinned and dense.suits(graph):
            return matrices
        degree = graph.degree().cpu().double()
        neighbours = 2 * float(degree.square().sum() / max(1.0, float(degree.sum())))
        return matrices + _PAIR_BYTES * neighbours


def refuse_pool(pool: LCM | None) -> None:
    """Refuse what is no sum: of a completed neighbourhood each node is there by a probability.

    Raises:
        ValueError: naming the remedy.
    """
    if pool is not None:
        raise ValueError(
            "pool: a completed neighbour counts by its probability, and a learned monoid has no "
            "weights: one of probability 0 would count in full; take ncn, ncn2 or ncn_diff, or "
            "leave it out"
        )


def _sum_second(x: Tensor, lists: Weighed) -> Tensor | None:
    return sum_over(x, lists) if lists else None


@dataclass(frozen=True, eq=False)
class _Levels:
    """What the logits of one level and of those below are computed from.

    Args:
        embeddings: h and x of this level, then the x of every level down to the innermost, at which
            h is all that is left of them.
        innermost: the inner NCN at the end.
        tables: of the inner logits of this level and those below that are completed, None where
            they are not kept.
        factor: of every node in the first sum, (N,); None for ones.
    """

    embeddings: Sequence[Tensor]
    innermost: InnerNCN
    tables: Sequence[PairTable | None]
    factor: Tensor | None

    def below(self) -> _Levels:
        return _Levels(self.embeddings[1:], self.innermost, self.tables[1:], self.factor)

    def weigh(self, common: NeighbourLists, completed: Completed) -> Weighed:
        """What the first sum is over."""
        lists = [(common, None), *completed]
        names = (COMMON, SOURCE_ALONE, TARGET_ALONE)
        if self.factor is None:
            return [(name, of, w) for name, (of, w) in zip(names, lists, strict=True)]
        return [
            (name, of, self.factor[of.node] if w is None else w * self.factor[of.node])
            for name, (of, w) in zip(names, lists, strict=True)
        ]
