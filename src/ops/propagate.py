"""Propagate node features with the normalised adjacency matrix."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from runner.ops import backend
from runner.ops.aggregate import by_node, pool
from runner.ops.bipartite import Bipartite, first_rows
from runner.ops.csr import Adjacency, Graph
from runner.ops.kernels import pool as kernels
from runner.ops.kernels.parallel import parallel


def propagate(x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 x with D = 1 + the row sums of the (weighted) A: Kipf and Welling 2017.

    Differentiable in ``x``; nothing of size (E, H) is made, and on the CPU no scaled copy of ``x``.

    Args:
        x: (N, H) floating point; of a bipartite graph, the features of all of its nodes.
        weight: (E,) of every entry of A, a constant; None for ones.

    Returns:
        (N, H), one for every row of the graph.
    """
    x = backend.exact(x)
    scale = (1 + degrees(graph, weight, x)).rsqrt()
    if backend.compiled(x):
        weight = None if weight is None else weight.to(x.dtype).contiguous()
        own_transpose = isinstance(graph, Graph) and graph.symmetric and weight is None
        rows = graph.rowptr, graph.col, weight
        return _Propagate.apply(x.contiguous(), *rows, scale.squeeze(1), own_transpose)
    x, n = scale * x, graph.num_nodes
    return scale[:n] * (pool(x, graph.rowptr, graph.col, weight=weight) + first_rows(x, n))


def propagate_without_loops(x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
    """D^-1/2 A D^-1/2 x with the same D: no node's own features, whose share D keeps.

    Args, Returns: see :func:`propagate`.
    """
    x = backend.exact(x)
    scale = (1 + degrees(graph, weight, x)).rsqrt()
    pooled = pool(scale * x, graph.rowptr, graph.col, weight=weight)
    return scale[: graph.num_nodes] * pooled


def degrees(graph: Adjacency, weight: Tensor | None, like: Tensor) -> Tensor:
    """Row sums of the (weighted) A of every node that has features, (n, 1)."""
    sums = row_sum(graph, weight, like)
    if not isinstance(graph, Bipartite):
        return sums
    return torch.cat([sums, graph.beyond.unsqueeze(1).to(like.dtype)])


def row_sum(graph: Adjacency, weight: Tensor | None, like: Tensor) -> Tensor:
    """The sum of every row's weights, (N, 1), of the type of ``like``, the nodes' features."""
    if weight is None:
        return graph.degree().unsqueeze(1).to(like.dtype)
    ones = like.new_ones(like.size(0), 1)
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
        if grad.size(0) < scale.numel():  # nodes without a row got nothing from themselves
            grad = F.pad(grad, (0, 0, 0, scale.numel() - grad.size(0)))
        return _propagate(grad.contiguous(), *rows, scale), *[None] * 5


def _propagate(
    x: Tensor, rowptr: Tensor, col: Tensor, weight: Tensor | None, scale: Tensor
) -> Tensor:
    out = x.new_empty(rowptr.numel() - 1, x.size(1))
    factor = x.new_empty(0) if weight is None else weight
    cost = x.size(1) * (1 + col.numel() / max(1, out.size(0)))
    parallel(kernels.propagate, len(out), x, rowptr, col, factor, scale, out, cost=cost)
    return out
