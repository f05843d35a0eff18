"""Pooling over common neighbours as matrix products: dense graphs, and a GPU, are made for it.

Row u of the adjacency matrix times row v, entry by entry, marks the common neighbours of a pair;
a matrix of such rows times the features sums over them. Nothing is listed, sorted or searched.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ops.csr import Graph

_SHARE = 1 / 32  # of all pairs that are linked, from which on products beat lists
_BLOCK_BYTES = 2**29  # of the marks of one block of pairs


def suits(graph: Graph) -> bool:
    """Whether products are faster than lists: on a GPU, where many of all pairs are linked."""
    return graph.col.is_cuda and graph.num_entries >= _SHARE * graph.num_nodes**2 > 0


def pool_common(graph: Graph, pairs: Tensor, x: Tensor) -> Tensor:
    """Σ x_w over w ∈ N(u) ∩ N(v) of every pair, differentiable in ``x``.

    Args:
        pairs: (2, B) int64, ids from 0 to N - 1, which are not checked.
        x: (N, H) floating point.

    Returns:
        (B, H)
    """
    return _PoolCommon.apply(x, adjacency(graph), pairs)


def adjacency(graph: Graph) -> Tensor:
    """The adjacency matrix, (N, N) bool."""
    matrix = torch.zeros(graph.num_nodes**2, dtype=torch.bool, device=graph.col.device)
    return matrix.index_fill_(0, graph.key, True).view(graph.num_nodes, graph.num_nodes)


@torch.no_grad()
def sum_common(graph: Graph, pairs: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The same sums without gradient, (B, H), and |N(u) ∩ N(v)| of every pair, (B,) int64."""
    linked = adjacency(graph)
    sums, counts = x.new_empty(pairs.size(1), x.size(1)), torch.empty_like(pairs[0])
    for part in _parts(linked, pairs, x):
        marks = _marks(linked, pairs[:, part])
        torch.sum(marks, 1, out=counts[part])
        torch.mm(marks.to(x.dtype), x, out=sums[part])
    return sums, counts


class _PoolCommon(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, linked: Tensor, pairs: Tensor) -> Tensor:
        ctx.save_for_backward(linked, pairs)
        out = x.new_empty(pairs.size(1), x.size(1))
        for part in _parts(linked, pairs, x):
            torch.mm(_marks(linked, pairs[:, part]).to(x.dtype), x, out=out[part])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        linked, pairs = ctx.saved_tensors
        grad_x = grad.new_zeros(linked.size(0), grad.size(1))
        for part in _parts(linked, pairs, grad):
            marks = _marks(linked, pairs[:, part]).to(grad.dtype)
            grad_x.addmm_(marks.t(), grad[part])
        return grad_x, None, None


def _parts(linked: Tensor, pairs: Tensor, like: Tensor) -> list[slice]:
    size = max(1, _BLOCK_BYTES // (linked.size(0) * like.element_size()))
    return [slice(begin, begin + size) for begin in range(0, pairs.size(1), size)]


def _marks(linked: Tensor, pairs: Tensor) -> Tensor:
    return linked[pairs[0]] & linked[pairs[1]]
