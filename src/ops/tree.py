"""Reduce ragged lists by balanced binary trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops.aggregate import gather
from runner.ops.csr import offsets


@dataclass(frozen=True, eq=False)
class Level:
    """One level of the trees of all lists.

    The rows of the next level are the P combined ones, then the C carried.

    Shapes:
        - ``left``, ``right``: (P,) int64, rows that are combined
        - ``carried``: (C,) int64, rows without a partner: the last ones of lists of odd length
    """

    left: Tensor
    right: Tensor
    carried: Tensor


@dataclass(frozen=True, eq=False)
class Trees:
    """A tree for each of B lists, planned from their lengths alone: nothing is padded.

    The first row of a list is combined with the second, the third with the fourth; an odd last one
    stays the last. A list of n rows takes ⌈log2 n⌉ levels.

    Shapes:
        - ``filled``: (L,) int64, the lists that have a row
        - ``root``: (L,) int64, the row of each after the last level
    """

    levels: tuple[Level, ...]
    filled: Tensor
    root: Tensor

    @classmethod
    def of(cls, rowptr: Tensor) -> Trees:
        """The trees of the lists ``rowptr``, (B + 1,) int64."""
        counts = rowptr.diff()
        filled = counts.nonzero().squeeze(1)
        counts = counts[filled]
        row = torch.arange(int(rowptr[-1]), device=rowptr.device)  # of each entry, list by list
        levels = []
        while row.numel() > filled.numel():
            begin = torch.repeat_interleave(offsets(counts)[:-1], counts, output_size=row.numel())
            odd = (torch.arange(row.numel(), device=row.device) - begin) % 2 == 1
            paired = torch.cat([odd[1:], odd.new_zeros(1)])[~odd]  # whether the next one is odd
            kept, right = row[~odd], row[odd]
            levels.append(Level(kept[paired], right, kept[~paired]))
            pairs = right.numel()
            row = torch.where(paired, paired.cumsum(0), pairs + (~paired).cumsum(0)) - 1
            counts = (counts + 1) // 2
        return cls(tuple(levels), filled, row)


def reduce_lists(
    x: Tensor, rowptr: Tensor, combine: Callable[[Tensor, Tensor], Tensor], *, empty: Tensor
) -> Tensor:
    """Reduce the rows of each list by ``combine``, in the order of :class:`Trees`.

    The only row of a list is its result, bit for bit. Differentiable, and as deterministic as
    :func:`runner.ops.aggregate.gather`.

    Args:
        x: (n, H), the rows of all lists, one list after the other.
        rowptr: (B + 1,) int64, list ``b`` has rows ``rowptr[b]`` to ``rowptr[b + 1]``.
        combine: two (P, H) to one; called once a level, for all lists together.
        empty: (H,), the result of a list without rows.

    Returns:
        (B, H)
    """
    trees = Trees.of(rowptr)
    for level in trees.levels:
        combined = combine(gather(x, level.left), gather(x, level.right))
        x = torch.cat([combined, gather(x, level.carried)])
    out = empty.to(x.dtype).expand(rowptr.numel() - 1, x.size(1))
    return out.index_copy(0, trees.filled, gather(x, trees.root))
