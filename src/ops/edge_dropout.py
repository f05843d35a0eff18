"""Edge dropout."""

from __future__ import annotations

from typing import overload

import torch

from runner.ops.bipartite import Bipartite
from runner.ops.csr import Graph


@overload
def drop_entries(graph: Graph, p: float) -> Graph: ...
@overload
def drop_entries(graph: Bipartite, p: float) -> Bipartite: ...
def drop_entries(graph: Graph | Bipartite, p: float) -> Graph | Bipartite:
    """Drop every directed entry with probability p, drawn from torch's default generator.

    The two directions of an edge are drawn separately, so the result is directed, as in the
    published release. Whoever sums over the entries scales them by 1 / (1 - p).

    Raises:
        ValueError: if p is not in [0, 1).
    """
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1), got {p}")
    if p == 0:
        return graph
    if isinstance(graph, Bipartite):
        return graph.drop(p)
    return graph.keep(torch.rand(graph.num_entries, device=graph.col.device) >= p)
