"""Thin long neighbour lists at random, without bias."""

from __future__ import annotations

import torch
from torch import Tensor

from ops.csr import offsets
from ops.overlap import NeighbourLists


def sample_neighbours(
    lists: NeighbourLists, k: int, generator: torch.Generator
) -> tuple[NeighbourLists, Tensor]:
    """Keep about k nodes of every list that has more, with weights that keep sums unbiased.

    A list of n > k nodes is drawn from k times *with replacement*, each draw of weight n / k and
    repeats adding up, as in the published release; a list of n ≤ k is kept whole with weight 1.

    Args:
        k: at least 1.
        generator: a CPU generator, whatever the device of ``lists``.

    Returns:
        The sampled lists (each node once, ascending) and the weight of every entry, (nnz',) of the
        default floating-point type.

    Raises:
        ValueError: if k < 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    count = lists.counts()
    long = count > k
    draws = torch.rand(int(long.sum()), k, generator=generator, dtype=torch.float64)
    # In float64 the product stays below n: the largest draw is 1 - 2**-53.
    within = (draws.to(count.device) * count[long].unsqueeze(1)).long()
    position = (lists.rowptr[:-1][long].unsqueeze(1) + within).flatten()
    times = torch.bincount(position, minlength=lists.node.numel())
    times = torch.where(long[lists.target], times, 1)
    kept = times > 0
    scale = torch.where(long, count / k, 1.0)
    weight = times[kept] * scale[lists.target[kept]]
    return NeighbourLists(offsets(kept)[lists.rowptr], lists.node[kept]), weight
