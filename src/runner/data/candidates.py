"""The nodes that each node is ranked among, where links are predicted node by node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Candidates:
    """All other nodes but those that a node is known to be linked to.

    Of a bipartite graph these are nodes of the other side. Of a directed graph only sources are
    asked for their targets, and a known link is an ordered pair.

    Attributes:
        known: (2, M) int64, links that are known before those that are predicted.
        num_sources: of a bipartite graph.
    """

    num_nodes: int
    known: Tensor
    directed: bool
    num_sources: int | None = None

    def sides(self, nodes: Tensor) -> Iterator[tuple[Tensor, int, int, bool]]:
        """Nodes that have the same candidates, with the first of these, the end, and whether they
        stand first in a pair."""
        if self.num_sources is None:
            yield nodes, 0, self.num_nodes, False
            return
        is_source = nodes < self.num_sources
        yield nodes[is_source], self.num_sources, self.num_nodes, False
        yield nodes[~is_source], 0, self.num_sources, True

    def keys(self, links: Tensor) -> Tensor:
        """``node * N + other`` of every node and the node that it is linked to, ascending."""
        node, other = links.cpu()
        if self.num_sources is not None or not self.directed:
            node, other = torch.cat([node, other]), torch.cat([other, node])
        differ = node != other
        return (node[differ] * self.num_nodes + other[differ]).unique()
