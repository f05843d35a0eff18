"""Propagate node features with the normalised adjacency matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ops import backend
from ops.aggregate import by_node, pool
from ops.csr import Graph
from ops.kernels import pool as kernels
from ops.kernels.parallel import parallel


def propagate(x: Tensor, graph: Graph, weight: Tensor | None = None) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 x with D = 1 + the row sums of the (weighted) A: Kipf and Welling 2017.

    Differentiable in ``x``; nothing of size (E, H) is made, and on the CPU no scaled copy of ``x``.

    Args:
        x: (N, H) floating point.
        weight: (E,) of every entry of A, a constant; None for ones.

    Returns:
        (N, H)
    """
    x = backend.exact(x)
    scale = (1 + row_sum(graph, weight, x)).rsqrt()
    if backend.compiled(x):
        weight = None if weight is None else weight.to(x.dtype).contiguous()
        own_transpose = graph.symmetric and weight is None
        rows = graph.rowptr, graph.col, weight
        return _Propagate.apply(x.contiguous(), *rows, scale.squeeze(1), own_transpose)
    x = scale * x
    return scale * (pool(x, graph.rowptr, graph.col, weight=weight) + x)


def row_sum(graph: Graph, weight: Tensor | None, like: Tensor) -> Tensor:
    """The sum of every row's weights, (N, 1), of the type of ``like``."""
    if weight is None:
        return graph.degree().unsqueeze(1).to(like.dtype)
    ones = like.new_ones(graph.num_nodes, 1)
    return pool(ones, graph.rowptr, graph.col, weight=weight)


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        rowptr: Tensor,
        col: Tensor,
        weight: Tensor | None,
        scale: Tensor,
        own_transpose: bool,
    ) -> Tensor:
        ctx.own_transpose = own_transpose
        ctx.save_for_backward(rowptr, col, weight, scale)
        return _propagate(x, rowptr, col, weight, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rowptr, col, weight, scale = ctx.saved_tensors
        rows = (rowptr, col, weight)
        if not ctx.own_transpose:
            rows = by_node(*rows, scale.numel())
        return _propagate(grad.contiguous(), *rows, scale), *[None] * 5


def _propagate(
    x: Tensor, rowptr: Tensor, col: Tensor, weight: Tensor | None, scale: Tensor
) -> Tensor:
    out = torch.empty_like(x)
    factor = x.new_empty(0) if weight is None else weight
    cost = x.size(1) * (1 + col.numel() / max(1, x.size(0)))
    parallel(kernels.propagate, len(out), x, rowptr, col, factor, scale, out, cost=cost)
    return out
