"""Thin long neighbour lists at random, without bias."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops.csr import offsets
from runner.ops.hash import mix, uniform
from runner.ops.overlap import NeighbourLists


def sample_neighbours(
    lists: NeighbourLists, k: int, source: torch.Generator | Tensor, *, replacement: bool
) -> tuple[NeighbourLists, Tensor]:
    """Keep about k nodes of every list that has more, with weights that keep sums unbiased.

    Of a list of n > k nodes, k are drawn, each of weight n / k; a list of n ≤ k is kept whole with
    weight 1.

    Args:
        k: at least 1.
        source: a CPU generator, whatever the device of ``lists``; or a key of each list, (B,)
            int64: what is drawn from a list is then a function of it and its key alone.
        replacement: draw with replacement, repeats adding up, as in the published release; without,
            every subset of k nodes is equally likely, and sums vary less.

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
    draw = _draw_with_replacement if replacement else _draw_without_replacement
    times = torch.where(long[lists.target], draw(lists, long, k, source), 1)
    kept = times > 0
    scale = torch.where(long, count / k, 1.0)
    weight = times[kept] * scale[lists.target[kept]]
    return NeighbourLists(offsets(kept)[lists.rowptr], lists.node[kept]), weight


def _draw_with_replacement(
    lists: NeighbourLists, long: Tensor, k: int, source: torch.Generator | Tensor
) -> Tensor:
    """How often every entry of the lists where ``long``, (B,) bool, is drawn; (nnz,) int64."""
    if isinstance(source, Tensor):
        number = torch.arange(k, device=source.device)
        draws = uniform(mix(0, source[long].unsqueeze(1), number))
    else:
        draws = torch.rand(int(long.sum()), k, generator=source, dtype=torch.float64)
    # In float64 the product stays below n: the largest draw is 1 - 2**-53.
    within = (draws.to(long.device) * lists.counts()[long].unsqueeze(1)).long()
    position = (lists.rowptr[:-1][long].unsqueeze(1) + within).flatten()
    return torch.bincount(position, minlength=lists.node.numel())


def _draw_without_replacement(
    lists: NeighbourLists, long: Tensor, k: int, source: torch.Generator | Tensor
) -> Tensor:
    """The same, at most once each: the entries with the k smallest of random numbers."""
    entry = torch.nonzero(long[lists.target]).flatten()
    target = lists.target[entry]
    if isinstance(source, Tensor):
        draws = uniform(mix(0, source[target], lists.node[entry]))
    else:
        draws = torch.rand(entry.numel(), generator=source, dtype=torch.float64)
    # Sorted by list and, within it, by number: adding the two would round the number away.
    order = torch.argsort(draws.to(entry.device))
    order = order[torch.argsort(target[order], stable=True)]
    count = lists.counts()[long]
    first = torch.repeat_interleave(offsets(count)[:-1], count, output_size=entry.numel())
    rank = torch.arange(entry.numel(), device=entry.device) - first
    times = torch.zeros_like(lists.node)
    times[entry[order[rank < k]]] = 1
    return times
