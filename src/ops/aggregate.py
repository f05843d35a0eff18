"""Gather rows of a matrix, and pool them over ragged lists."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from runner.ops import backend
from runner.ops.csr import check_ids, offsets, shares_of_nodes
from runner.ops.kernels import pool as kernels
from runner.ops.kernels.parallel import array, parallel, split

Reduction = Literal["sum", "mean", "max"]


def pool(
    x: Tensor,
    rowptr: Tensor,
    node: Tensor,
    *,
    weight: Tensor | None = None,
    reduce: Reduction = "sum",
) -> Tensor:
    """Reduce the rows ``x[node]`` of every list; an empty list gives zeros.

    Differentiable in ``x`` and ``weight``; bit-deterministic on CPU for any number of threads. The
    rows are reduced as they are read: nothing of size (nnz, H) is ever made.

    Args:
        x: (N, H) floating point; of 16 bits, it is read as float32.
        rowptr: (B + 1,) int64, list ``b`` is ``node[rowptr[b]:rowptr[b + 1]]``.
        node: (nnz,) int64 or int32.
        weight: (nnz,) factor of every row, for ``reduce="sum"`` only; cast to the type of ``x``.

    Returns:
        (B, H) of the type of ``x``.

    Raises:
        ValueError: if a weight is given with another reduction, or a node is no row of ``x``.
    """
    x = backend.exact(x)
    if weight is not None:
        if reduce != "sum":
            raise ValueError(f'weight needs reduce="sum", got reduce="{reduce}"')
        weight = weight.to(x.dtype).contiguous()
    check_ids(node, x.size(0), "node")
    if reduce != "max" and backend.compiled(x):
        total = _PoolSum.apply(x.contiguous(), rowptr.contiguous(), node.contiguous(), weight)
        if reduce == "sum":
            return total
        return total / rowptr.diff().clamp(min=1).unsqueeze(1).to(x.dtype)
    return F.embedding_bag(
        node.long(), x, rowptr, mode=reduce, per_sample_weights=weight, include_last_offset=True
    )


def gather(x: Tensor, node: Tensor) -> Tensor:
    """``x[node]``: (N, H) and (B,) give (B, H).

    Unlike indexing, whose gradient is summed in an order that threads decide, the gradient is
    bit-deterministic on CPU and CUDA however often a node repeats.
    """
    return F.embedding(node, x)


def pair_product(x: Tensor, pairs: Tensor) -> Tensor:
    """x_u ⊙ x_v of every pair: (N, H) and (2, B) int64 give (B, H).

    Differentiable, as deterministic as :func:`gather`.

    Raises:
        ValueError: if a node is no row of ``x``.
    """
    check_ids(pairs, x.size(0), "pairs")
    x = backend.exact(x)
    if backend.compiled(x):
        return _PairProduct.apply(x.contiguous(), pairs.contiguous())
    return _plain_pair_product(x, pairs[0], pairs[1])


@backend.fusable
def _plain_pair_product(x: Tensor, u: Tensor, v: Tensor) -> Tensor:
    return gather(x, u) * gather(x, v)


class _PoolSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rowptr: Tensor, node: Tensor, weight: Tensor | None) -> Tensor:
        # x, which may be large, is needed for the weights' gradient alone.
        ctx.save_for_backward(x if ctx.needs_input_grad[3] else None, rowptr, node, weight)
        ctx.num_rows = x.size(0)
        return _pool_sum(x, rowptr, node, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, rowptr, node, weight = ctx.saved_tensors
        grad = grad.contiguous()
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = _pool_sum(grad, *by_node(rowptr, node, weight, ctx.num_rows))
        if ctx.needs_input_grad[3]:
            grad_weight = torch.empty_like(weight)
            zero = array(grad).dtype.type(0)
            parallel(
                kernels.weight_gradient,
                *(rowptr.numel() - 1, grad, x, rowptr, node, grad_weight, zero),
                cost=_cost(x, rowptr, node),
            )
        return grad_x, None, None, grad_weight


class _PairProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pairs: Tensor) -> Tensor:
        ctx.save_for_backward(x, pairs)
        out = x.new_empty(pairs.size(1), x.size(1))
        parallel(kernels.product, len(out), x, pairs[0], pairs[1], out, cost=x.size(1))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, pairs = ctx.saved_tensors
        grad_x = torch.empty_like(x)
        single = torch.arange(pairs.numel() + 1)
        rowptr, entry, _ = by_node(single, pairs.flatten(), None, x.size(0))
        parallel(
            kernels.product_gradient,
            *(x.size(0), grad.contiguous(), x, pairs, rowptr, entry, grad_x),
            cost=_cost(x, rowptr, entry),
        )
        return grad_x, None


def _pool_sum(x: Tensor, rowptr: Tensor, node: Tensor, weight: Tensor | None) -> Tensor:
    out = x.new_empty(rowptr.numel() - 1, x.size(1))
    factor = x.new_empty(0) if weight is None else weight
    cost = _cost(x, rowptr, node)
    parallel(kernels.pool_sum, len(out), x, rowptr, node, factor, out, cost=cost)
    return out


def by_node(
    rowptr: Tensor, node: Tensor, weight: Tensor | None, num_nodes: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The transposed lists: of every node, the lists it is in, with the weights.

    The gradient of a node is a sum over them, always in the same order.
    """
    counts = torch.zeros(num_nodes, dtype=torch.int64)
    kernels.count_nodes(array(node), array(counts))
    transposed = offsets(counts)
    target = torch.empty_like(node)
    given = node.new_empty(0, dtype=torch.float32) if weight is None else weight.detach()
    moved = torch.empty_like(given)
    free = transposed[:-1].clone()
    # Every thread reads all entries, and keeps those of nodes that make up its share of them.
    split(
        kernels.list_by_node,
        shares_of_nodes(transposed),
        *(rowptr, node, given, free, target, moved),
    )
    return transposed, target, None if weight is None else moved


def _cost(x: Tensor, rowptr: Tensor, node: Tensor) -> float:
    """Of one list of average length."""
    return x.size(1) * (1 + node.numel() / max(1, rowptr.numel() - 1))
