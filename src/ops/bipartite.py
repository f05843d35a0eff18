"""Message passing from many nodes to the first few of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops.csr import Adjacency, offsets


@dataclass(frozen=True, eq=False)
class Bipartite(Adjacency):
    """The rows of the first n nodes, whose neighbours are among n + m nodes.

    A convolution takes features of n + m nodes and gives those of the first n.

    Shapes:
        - ``rowptr``: (n + 1,) int64
        - ``col``: (E,) ids from 0 to n + m - 1, in any order within a row

    Attributes:
        beyond: (m,) degrees, floating point, of the nodes that have no row here.
        weight: (E,) floating point, of every entry of a sample of the neighbours, so that weighted
            sums are unbiased; None where no neighbour is left out.
    """

    beyond: Tensor
    weight: Tensor | None = None

    def drop(self, p: float) -> Bipartite:
        """Edge dropout, of the rows that are not here as well: their degrees thin out.

        Degrees beyond are then those of kept entries times 1 / (1 - p), as kept entries weigh.
        """
        kept = torch.rand(self.num_entries, device=self.col.device) >= p
        beyond = torch.binomial(self.beyond, torch.full_like(self.beyond, 1 - p)) / (1 - p)
        weight = None if self.weight is None else self.weight[kept]
        return Bipartite(offsets(kept)[self.rowptr], self.col[kept], beyond, weight)


def first_rows(x: Tensor, count: int) -> Tensor:
    """The first ``count`` rows; ``x`` itself where it has no more, which costs a gradient less."""
    return x if x.size(0) == count else x[:count]
