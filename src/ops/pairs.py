"""Pairs of nodes: drawn, and in parts."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_pairs(
    num_nodes: int, count: int, generator: torch.Generator, num_sources: int | None = None
) -> Tensor:
    """Uniform pairs of nodes, (2, count) int64; both may be the same node.

    Args:
        num_sources: of a bipartite graph the nodes of its first side, which come first: pairs are
            then one of these with one of the others.
    """
    if num_sources is None:
        return torch.randint(num_nodes, (2, count), generator=generator)
    sources = torch.randint(num_sources, (count,), generator=generator)
    targets = torch.randint(num_sources, num_nodes, (count,), generator=generator)
    return torch.stack([sources, targets])


def split_by(pairs: Tensor, size: Tensor, most: int) -> list[Tensor]:
    """Pairs, (2, B), in parts whose sizes, (B,) int64, add up to about ``most``; one at least."""
    number = torch.div(size.cumsum(0), most, rounding_mode="floor")
    return list(pairs.split(number.unique_consecutive(return_counts=True)[1].tolist() or 0, dim=1))
