"""Sums over the inner products of all pairs of rows; nothing of size (N, N) is ever made."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_ENTRIES = 2**22  # inner products at a time: 16 MiB in float32


def softplus_of_products(x: Tensor, rows: Tensor) -> Tensor:
    """Σ_i Σ_j log(1 + exp(x_i · x_j)), i of ``rows`` and j of all, a scalar.

    The gradient is that of the sum over all i and j, at ``rows`` alone, so that parts of the rows
    add up to it: by symmetry it needs no products but those of the sum.

    Args:
        x: (N, H) floating point.
        rows: (k,) int64, each at most once.
    """
    total: Tensor = _SoftplusOfProducts.apply(x, rows)
    return total


class _SoftplusOfProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor) -> Tensor:
        total, gradient = x.new_zeros(()), torch.zeros_like(x)
        for block in rows.split(max(1, _ENTRIES // max(1, x.size(0)))):
            products = x[block] @ x.T
            total += F.softplus(products).sum()
            gradient[block] = 2 * (products.sigmoid_() @ x)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None
