"""All pairs of nodes that could be linked, by their place in a fixed order."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops.csr import offsets


class AllPairs:
    """Pairs among some nodes, in ascending order.

    Of an undirected graph the smaller node comes first, of a bipartite one the source; of a
    directed graph every pair stands in both orders.

    Args:
        nodes: (n,) int64, ascending, each once.
        num_sources: of a bipartite graph.

    Attributes:
        first, second: the nodes that may stand there, (S,) and (T,) int64.
    """

    def __init__(
        self, nodes: Tensor, num_nodes: int, *, directed: bool, num_sources: int | None = None
    ) -> None:
        is_source = nodes < (num_nodes if num_sources is None else num_sources)
        self.first = nodes[is_source]
        self.second = nodes if num_sources is None else nodes[~is_source]
        self.bipartite = num_sources is not None
        self.both_orders = directed and num_sources is None
        self._has = torch.zeros(num_nodes, dtype=torch.bool)
        self._has[nodes] = True
        n = len(nodes)
        if self.bipartite:
            counts = torch.full((len(self.first),), len(self.second))
        else:
            counts = torch.full((n,), n - 1) if directed else torch.arange(n - 1, -1, -1)
        self._begins = offsets(counts)

    def __len__(self) -> int:
        return int(self._begins[-1])

    def block(self, begin: int, end: int) -> Tensor:
        """Pairs number ``begin`` to ``end``, at most the last: (2, P) int64."""
        place = torch.arange(begin, min(end, len(self)))
        row = torch.searchsorted(self._begins, place, right=True) - 1
        column = place - self._begins[row]
        if self.both_orders:
            column += column >= row
        elif not self.bipartite:
            column += row + 1
        return torch.stack([self.first[row], self.second[column]])

    def have(self, pairs: Tensor) -> Tensor:
        """Whether both ends of ``pairs``, (2, P), are among the nodes: (P,) bool."""
        return self._has[pairs[0]] & self._has[pairs[1]]

    def of(self, pairs: Tensor) -> Tensor:
        """Those of ``pairs``, (2, P) in any order, that are here, each once, in this order.

        Of a directed graph both orders of each.
        """
        pairs = pairs[:, self.have(pairs) & (pairs[0] != pairs[1])]
        if self.both_orders:
            pairs = torch.cat([pairs, pairs.flip(0)], dim=1)
        else:
            pairs = pairs.sort(dim=0).values  # the sources of a bipartite graph have lower numbers
        n = len(self._has)
        key = (pairs[0] * n + pairs[1]).unique()
        return torch.stack([key // n, key % n])


def pairs_with(node: int, num_nodes: int, *, num_sources: int | None = None) -> Tensor:
    """All pairs of a node that could be linked, (2, P) int64.

    It stands first, unless it is a target of a bipartite graph.
    """
    is_target = num_sources is not None and node >= num_sources
    if num_sources is None:
        others = torch.arange(num_nodes)
        others = others[others != node]
    else:
        others = torch.arange(num_sources) if is_target else torch.arange(num_sources, num_nodes)
    same = torch.full_like(others, node)
    return torch.stack((others, same) if is_target else (same, others))
