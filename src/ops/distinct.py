"""The distinct ones of many pairs of nodes."""

from __future__ import annotations

import torch
from torch import Tensor

from ops import backend
from ops.aggregate import by_node
from ops.csr import offsets
from ops.kernels import distinct as kernels
from ops.kernels.parallel import parallel


def distinct_pairs(pairs: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """Every unordered pair once, those of a smaller node together; no sorting, linear time.

    Args:
        pairs: (2, B) int64, ids from 0 to ``num_nodes`` - 1, which are not checked.

    Returns:
        The distinct pairs, (2, D) int64, the smaller node first, and which of them every given
        pair is, (B,) int64.
    """
    first, second = pairs.amin(0), pairs.amax(0)
    if not backend.compiled(pairs):
        key, number = torch.unique(first * num_nodes + second, return_inverse=True)
        first = torch.div(key, num_nodes, rounding_mode="floor")
        return torch.stack([first, key - first * num_nodes]), number
    single = torch.arange(first.numel() + 1)
    rowptr, entry, _ = by_node(single, first, None, num_nodes)
    counts, number = torch.empty(num_nodes, dtype=torch.int64), torch.empty_like(first)
    cost = 1 + first.numel() / max(1, num_nodes)
    parallel(kernels.count_distinct, num_nodes, rowptr, entry, second, counts, cost=cost)
    places = offsets(counts)
    distinct = torch.empty(2, int(places[-1]), dtype=torch.int64)
    given = rowptr, entry, second, places, distinct, number
    parallel(kernels.number_distinct, num_nodes, *given, cost=cost)
    return distinct, number
