"""The distinct ones of many pairs of nodes, and values that are computed once a pair."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.aggregate import by_node
from runner.ops.csr import offsets
from runner.ops.kernels import distinct as kernels
from runner.ops.kernels.parallel import parallel


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


class PairTable:
    """A value for every unordered pair of nodes, computed when it is first asked for.

    Args:
        num_nodes: N; the table takes N² values.
        like: a tensor of the type and on the device of the values.
    """

    def __init__(self, num_nodes: int, like: Tensor) -> None:
        self.num_nodes = num_nodes
        self.known = like.new_full((num_nodes * num_nodes,), float("nan"))

    @staticmethod
    def size(num_nodes: int, like: Tensor) -> int:
        """Bytes of the table of so many nodes."""
        return num_nodes * num_nodes * like.element_size()

    def look_up(self, pairs: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """The values, (D,), of distinct pairs, (2, D) int64, the smaller node first.

        Args:
            compute: gives the values of those that are not known yet, never called for none. NaN
                is not remembered.
        """
        place = pairs[0] * self.num_nodes + pairs[1]
        values = self.known[place]
        new = values.isnan().nonzero().squeeze(1)
        if new.numel() > 0:
            values[new] = compute(pairs[:, new])
            self.known[place[new]] = values[new]
        return values
