"""How many nodes are near both ends of a pair, by their distances: MPLP's numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from runner.errors import RunnerError
from runner.models.signatures import Signatures
from runner.ops.aggregate import pool
from runner.ops.csr import Adjacency, Graph
from runner.ops.receptive_field import receptive_field
from runner.ops.signatures import Propagated, inner_products, propagate_signatures
from runner.ops.two_hop import second_neighbours

Numbers = Literal["combine", "prop_only", "exact", "precompute"]
Table = tuple[Propagated, float]
"""Sums of some columns, and what their inner products are multiplied by."""

# Where the numbers of (v, u) stand among those of (u, v).
SWAPPED = {
    "combine": [0, 2, 1, 3, 4, 5, 7, 6, 8, 10, 9, 12, 11, 14, 13],
    "prop_only": [0, 2, 1, 3, 5, 4, 7, 6],
    "exact": [0, 1, 2, 3, 4],
    "precompute": [0, 2, 1, 3, 5, 4, 7, 6],
}

_LOCAL = 8  # times as many nodes as endpoints, from which on what is near the pairs is found first
_MOST_SECOND = 2**30  # nodes at distance two that are listed


@dataclass(frozen=True, eq=False)
class PathCounts:
    """Numbers of pairs of one graph, by one draw of signatures.

    Attributes:
        graph: where signatures are summed.
        nodes: (n,) int64, its nodes in the graph of the pairs, ascending; None for all.
        ids: (n,) int64, its nodes in the whole graph.
        degree: (n,) int64, of the graph of the pairs.
        weight: (n,), by which signatures are multiplied; None for ones.
        hubs: those of its nodes that have columns of their own.
        random: columns of the others.
        second: the nodes at distance two; None where nobody asks.
    """

    numbers: Numbers
    signatures: Signatures
    draw: int
    graph: Graph
    nodes: Tensor | None
    ids: Tensor
    degree: Tensor
    weight: Tensor | None
    hubs: Tensor
    random: int
    second: Adjacency | None

    @classmethod
    def of(
        cls,
        numbers: Numbers,
        signatures: Signatures,
        graph: Graph,
        *,
        draw: int,
        ids: Tensor | None = None,
        weight: Tensor | None = None,
        pairs: Tensor | None = None,
    ) -> PathCounts:
        """Numbers by the signatures of one draw.

        Args:
            draw: of :meth:`Signatures.draw`.
            ids: (N,) of the nodes of ``graph`` in the whole one; None where it is that.
            weight: (N,)
            pairs: (2, B), the only ones that will be asked for; None for any.

        Raises:
            RunnerError: if the nodes at distance two, or the hubs, are too many.
        """
        degree, nodes = graph.degree(), None
        hub = signatures.hubs(degree)
        random = signatures.width - int(hub.sum())
        if pairs is not None and graph.num_nodes > _LOCAL * pairs.numel():
            field = receptive_field(graph, pairs, reach=2, layers=0)
            nodes, graph = field.nodes, field.graph
            degree, hub = degree[nodes], hub[nodes]
            ids = nodes if ids is None else ids[nodes]
            weight = None if weight is None else weight[nodes]
        if ids is None:
            ids = torch.arange(graph.num_nodes, device=degree.device)
        second = None
        if numbers in ("combine", "exact"):
            wanted = torch.ones_like(hub) if pairs is None else torch.zeros_like(hub)
            if pairs is not None:
                wanted[_places(nodes, pairs)] = True
            second = _second(graph, wanted)
        hubs = hub.nonzero().flatten()
        return cls(
            numbers, signatures, draw, graph, nodes, ids, degree, weight, hubs, random, second
        )

    def tables(self) -> Iterator[Table]:
        """Some columns after others."""
        for x, scale in self._columns():
            yield self._propagate(x, self.weight), scale

    def of_pairs(self, pairs: Tensor, tables: Iterable[Table] | None = None) -> Tensor:
        """The numbers of pairs, (B, 15), (B, 8) or (B, 5); differentiable in the weights.

        Args:
            tables: of :meth:`tables`, where they are kept.
        """
        local = _places(self.nodes, pairs)
        if tables is None and self._learns:
            found = [
                scale * checkpoint(self._learned, x, self.weight, local, use_reentrant=False)
                for x, scale in self._columns()
            ]
        else:
            tables = self.tables() if tables is None else tables
            found = [scale * inner_products(table, local, self._own) for table, scale in tables]
        products = torch.stack(found).sum(0)
        second = None if self.second is None else self.second.degree()[local]
        return combine(self.numbers, products, self.degree[local], second)

    @property
    def _own(self) -> Tensor:
        """How often q still has a node's own signature."""
        return self.degree * (self.numbers != "precompute")

    @property
    def _learns(self) -> bool:
        needs = self.weight is not None and self.weight.requires_grad
        return needs and torch.is_grad_enabled()

    def _columns(self) -> Iterator[tuple[Tensor, float]]:
        return self.signatures.columns(self.draw, self.ids, self.hubs, self.random)

    def _propagate(self, x: Tensor, weight: Tensor | None) -> Propagated:
        if weight is not None:
            x = x.to(weight.dtype) * weight.unsqueeze(1)
        twice = self.numbers != "exact"
        found = propagate_signatures(x, self.graph, twice=twice, lists=self.second)
        return found if self.numbers != "precompute" else found.without_own(self.degree)

    def _learned(self, x: Tensor, weight: Tensor, local: Tensor) -> Tensor:
        return inner_products(self._propagate(x, weight), local, self._own)


def combine(numbers: Numbers, products: Tensor, degree: Tensor, second: Tensor | None) -> Tensor:
    """The numbers, (B, k), of a pair's products, (B, 9), and degrees of distance one and two.

    Args:
        degree, second: (2, B).
    """
    pp, pq, qp, around, of_u, of_v, pr, rp, rr = products.unbind(1)
    d_u, d_v = degree
    if second is None:
        return torch.stack([pp, pq, qp, around, of_u, of_v, d_u, d_v], dim=1)
    second_u, second_v = second
    alone = d_u + d_v - 2 * pp - pr - rp
    alone_second = second_u + second_v - 2 * rr - pr - rp
    if numbers == "exact":
        return torch.stack([pp, pr + rp, rr, alone, alone_second], dim=1)
    walks = pq, qp, around, of_u, of_v
    degrees = d_u, d_v, second_u, second_v
    return torch.stack([pp, pr, rp, rr, alone, alone_second, *walks, *degrees], dim=1)


def keep(tables: Iterator[Table], most: int) -> list[Table] | None:
    """All tables, unless they take more bytes than ``most``."""
    kept, size = [], 0
    for table in tables:
        kept.append(table)
        size += table[0].size
        if size > most:
            return None
    return kept


def _places(nodes: Tensor | None, pairs: Tensor) -> Tensor:
    return pairs if nodes is None else torch.searchsorted(nodes, pairs.contiguous())


def _second(graph: Graph, wanted: Tensor) -> Adjacency:
    """The nodes at distance two of those wanted.

    Raises:
        RunnerError: if they may take more memory than there should be.
    """
    degrees = graph.degree().double().unsqueeze(1)
    walks = pool(degrees, graph.rowptr, graph.col).squeeze(1).clamp(max=graph.num_nodes)
    most = int(walks[wanted].sum())
    if most > _MOST_SECOND:
        raise RunnerError(
            f"model.numbers: up to {most:,} nodes at distance two of the scored pairs would be "
            f"listed, and {_MOST_SECOND:,} are the most; take a smaller train.batch_size and "
            "train.eval_batch_size, or model=mplp_plus, which lists none"
        )
    return second_neighbours(graph, wanted)
