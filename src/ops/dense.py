"""Pooling over common neighbours as matrix products: dense graphs, and a GPU, are made for it.

Row u of the adjacency matrix times row v, entry by entry, marks the common neighbours of a pair;
a matrix of such rows times the features sums over them. Nothing is listed, sorted or searched.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from runner.ops import backend
from runner.ops.csr import Graph

_SHARE = 1 / 12  # of all pairs that are linked, from which on products beat lists
_BLOCK_BYTES = 2**27  # of the marks of one block of pairs


def suits(graph: Graph) -> bool:
    """Whether products are faster than lists: on a GPU, where many of all pairs are linked."""
    if not graph.col.is_cuda or backend.only_plain():
        return False
    return graph.num_entries >= _SHARE * graph.num_nodes**2 > 0


def pool_common(graph: Graph, pairs: Tensor, x: Tensor) -> Tensor:
    """Σ x_w over w ∈ N(u) ∩ N(v) of every pair, differentiable in ``x``.

    Args:
        pairs: (2, B) int64, ids from 0 to N - 1, which are not checked.
        x: (N, H) floating point.

    Returns:
        (B, H)
    """
    return _PoolCommon.apply(backend.exact(x), graph.matrix, pairs)


@torch.no_grad()
def sum_common(graph: Graph, pairs: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The same sums without gradient, (B, H), and |N(u) ∩ N(v)| of every pair, (B,) int64."""
    sums, counts = x.new_empty(pairs.size(1), x.size(1)), torch.empty_like(pairs[0])
    factor = _Factor(x, graph.matrix.size(1))
    for part in _parts(graph.matrix, pairs):
        u, v = pairs[:, part]
        marks, counts[part] = _counted_marks(graph.matrix, u, v, factor.dtype)
        sums[part] = factor.times(marks)
    return sums, counts


class _PoolCommon(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, linked: Tensor, pairs: Tensor) -> Tensor:
        ctx.save_for_backward(linked, pairs)
        out = x.new_empty(pairs.size(1), x.size(1))
        factor = _Factor(x, linked.size(1))
        for part in _parts(linked, pairs):
            u, v = pairs[:, part]
            out[part] = factor.times(_marks(linked, u, v, factor.dtype))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        linked, pairs = ctx.saved_tensors
        grad_x = grad.new_zeros(linked.size(1), grad.size(1))
        for part in _parts(linked, pairs):
            u, v = pairs[:, part]
            marks = _marks(linked, u, v, grad.dtype)
            grad_x.addmm_(marks.t(), grad[part])
        return grad_x[: linked.size(0)], None, None


class _Factor:
    """``x``, (N, H), for products of marks, which are 0 or 1, with it.

    A GPU multiplies bfloat16 an order of magnitude faster than float32, and three bfloat16 add up
    to a float32: with sums in float32 the product of ones and such thirds is that of float32.

    Args:
        rows: N', at least N, of which those beyond N are zero.
    """

    def __init__(self, x: Tensor, rows: int) -> None:
        self.width = x.size(1)
        self.matrix = F.pad(x, (0, 0, 0, rows - x.size(0)))
        self.in_thirds = x.is_cuda and x.dtype == torch.float32 and _widens(x.device)
        if self.in_thirds:
            self.matrix = thirds(self.matrix)
        self.dtype = self.matrix.dtype  # of the marks

    def times(self, marks: Tensor) -> Tensor:
        if not self.in_thirds:
            with torch.autocast(marks.device.type, enabled=False):
                return marks @ self.matrix
        sums = torch.mm(marks, self.matrix, out_dtype=torch.float32)
        return sums.view(-1, 3, self.width).sum(1)


def _widens(device: torch.device) -> bool:
    """Whether products of bfloat16 that give float32 are there, and fast."""
    known = torch.version.hip is None and "dtype" in torch.ops.aten.mm.overloads()
    return known and torch.cuda.get_device_capability(device) >= (8, 0)


def thirds(x: Tensor) -> Tensor:
    """Three bfloat16 matrices, side by side (N, 3H), that add up to the float32 ``x``, (N, H)."""
    first = x.bfloat16()
    second = (x - first).bfloat16()
    return torch.cat([first, second, (x - first - second).bfloat16()], dim=1)


def _parts(linked: Tensor, pairs: Tensor) -> list[slice]:
    size = max(1, _BLOCK_BYTES // linked.size(1))
    return [slice(begin, begin + size) for begin in range(0, pairs.size(1), size)]


@backend.fusable
def _marks(linked: Tensor, u: Tensor, v: Tensor, dtype: torch.dtype) -> Tensor:
    return (linked.index_select(0, u) & linked.index_select(0, v)).to(dtype)


@backend.fusable
def _counted_marks(
    linked: Tensor, u: Tensor, v: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The marks, and how many every pair has, (B,) int64."""
    marks = linked.index_select(0, u) & linked.index_select(0, v)
    return marks.to(dtype), marks.sum(1)
