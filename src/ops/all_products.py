"""Sums over the inner products of all pairs of rows; nothing of size (N, N) is ever made."""

from __future__ import annotations

import math
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


def log_sum_exp_of_products(
    x: Tensor,
    keys: Tensor,
    rows: Tensor,
    *,
    offset: Tensor | None = None,
    left_out: Tensor | None = None,
) -> Tensor:
    """Σ_i log Σ_j exp(x_i · k_j + b_j), i of ``rows`` and j of all keys but one, a scalar.

    Parts of the rows add up to the whole, and so do their gradients.

    Args:
        x: (N, H) floating point.
        keys: (M, H), k.
        rows: (k,) int64, each at most once.
        offset: (M,), b, without a gradient; None for zeros.
        left_out: (N,) int64, the key that the sum of a row lacks; None for none.
    """
    total: Tensor = _LogSumExpOfProducts.apply(x, keys, rows, offset, left_out)
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


class _LogSumExpOfProducts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        keys: Tensor,
        rows: Tensor,
        offset: Tensor | None,
        left_out: Tensor | None,
    ) -> Tensor:
        total = x.new_zeros(())
        gradients = torch.zeros_like(x), torch.zeros_like(keys)
        for block in rows.split(max(1, _ENTRIES // max(1, keys.size(0)))):
            products = x[block] @ keys.T
            if offset is not None:
                products += offset
            if left_out is not None:
                products.scatter_(1, left_out[block].unsqueeze(1), -math.inf)
            largest = products.amax(dim=1, keepdim=True)
            powers = products.sub_(largest).exp_()
            sums = powers.sum(dim=1, keepdim=True)
            total += (sums.log() + largest).sum()
            gradients[0][block] = powers @ keys / sums
            gradients[1].addmm_(powers.T, x[block] / sums)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        of_x, of_keys = ctx.saved_tensors
        return grad * of_x, grad * of_keys, None, None, None
