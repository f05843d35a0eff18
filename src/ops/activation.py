"""What stands between two Linears: LayerNorm, dropout and ReLU as one operator, and dropout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from runner.ops import backend
from runner.ops.kernels import activation as kernels
from runner.ops.kernels.parallel import parallel

_BLOCKS = 64  # of rows, over each of which the LayerNorm's gradients are summed apart
_ROW = 1024  # columns of the flat view that dropout works on


@dataclass(frozen=True, eq=False)
class Norm:
    """Weight and bias, (H,), and epsilon of a LayerNorm over the last dimension."""

    weight: Tensor
    bias: Tensor
    eps: float


def rectify(
    x: Tensor,
    *,
    norm: Norm | None = None,
    p: float = 0.0,
    seed: int | None = None,
    overwrite: bool = False,
) -> Tensor:
    """ReLU(dropout(LayerNorm(x))).

    On the CPU the dropped places are a hash of (seed, row, column), whatever the number of
    threads, and no mask is kept.

    Args:
        x: (..., H) floating point.
        norm: of the LayerNorm, None for none.
        p: rate of the dropout, in [0, 1].
        seed: of the dropped places; None draws one from torch's default generator. The plain form
            has no use for it: there the default generator decides directly.
        overwrite: the result may take the place of ``x``: ``x`` is no leaf, and nobody else needs
            it, nor what has made it, for its gradient. Without gradient it does, if ``x`` is
            contiguous, and keeps the type of ``x``, bfloat16 too (sums, ``norm`` and its gain in
            float32); with gradient, on the CPU and without ``norm``.
    """
    if overwrite and not torch.is_grad_enabled():
        return _rectify_(x.contiguous(), norm, p, seed)
    x = backend.exact(x)
    if not backend.compiled(x):
        return _plain(x, norm, p)
    if norm is None:
        return _DropRectify.apply(x.contiguous(), p, seed, overwrite)
    return _NormaliseDropRectify.apply(x.contiguous(), norm.weight, norm.bias, norm.eps, p, seed)


def dropout(x: Tensor, p: float) -> Tensor:
    """Zero every entry with probability p in [0, 1], and scale the others by 1 / (1 - p)."""
    x = backend.exact(x)
    if p == 0:
        return x
    return _Drop.apply(x.contiguous(), p) if backend.compiled(x) else F.dropout(x, p)


def _rectify_(x: Tensor, norm: Norm | None, p: float, seed: int | None) -> Tensor:
    if not backend.compiled(x, torch.bfloat16):
        return x.copy_(_plain(backend.exact(x), norm, p))
    if x.dtype == torch.bfloat16:
        _rectify_bfloat16(x, norm, p, seed)
    elif norm is None:
        _drop_rectify(x, p, seed, out=x)
    else:
        _normalise_drop_rectify(x, norm, p, seed, out=x)
    torch.autograd.graph.increment_version(x)
    return x


def _plain(x: Tensor, norm: Norm | None, p: float) -> Tensor:
    if norm is None:
        return _plain_drop_rectify(x, p)
    return _plain_normalise_drop_rectify(x, norm.weight, norm.bias, norm.eps, p)


@backend.fusable
def _plain_drop_rectify(x: Tensor, p: float) -> Tensor:
    return F.relu(F.dropout(x, p))


@backend.fusable
def _plain_normalise_drop_rectify(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, p: float
) -> Tensor:
    return F.relu(F.dropout(F.layer_norm(x, x.shape[-1:], weight, bias, eps), p))


class _DropRectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int | None, overwrite: bool) -> Tensor:
        out = x if overwrite else torch.empty_like(x)
        if overwrite:
            ctx.mark_dirty(x)
        _drop_rectify(x, p, seed, out=out)
        ctx.save_for_backward(out)
        ctx.p = p
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (out,) = ctx.saved_tensors
        grad, grad_x = grad.contiguous(), torch.empty_like(out)
        scalars = _typed(out, _scale(ctx.p), 0)
        rows, out_rows, grad_rows = _rows(grad), _rows(out), _rows(grad_x)
        parallel(
            kernels.rectify_backward,
            *(len(rows), rows, out_rows, *scalars, grad_rows),
            cost=rows.shape[1],
        )
        return grad_x, None, None, None


class _NormaliseDropRectify(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, p: float, seed: int | None
    ) -> Tensor:
        out = torch.empty_like(x)
        ctx.p, ctx.seed = p, int(_seed(p, seed))
        mean, rstd = _normalise_drop_rectify(x, Norm(weight, bias, eps), p, ctx.seed, out=out)
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        grad, grad_x = grad.contiguous(), torch.empty_like(x)
        sums = torch.empty(2, _BLOCKS, x.shape[-1], dtype=x.dtype)
        affine = weight.contiguous(), bias.contiguous()
        chance = _threshold(ctx.p), *_typed(x, _scale(ctx.p), 0), np.uint64(ctx.seed)
        given = (_rows(grad), _rows(x), *affine, *chance)
        parallel(
            kernels.normalise_backward,
            *(_BLOCKS, *given, mean, rstd, _rows(grad_x), sums[0], sums[1]),
            cost=4 * x.numel() / _BLOCKS,
        )
        grad_weight, grad_bias = sums.sum(dim=1)
        return grad_x, grad_weight, grad_bias, None, None, None


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        ctx.p, ctx.seed = p, _seed(p, None)
        return _drop(x, p, ctx.seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _drop(grad.contiguous(), ctx.p, ctx.seed), None


def _drop_rectify(x: Tensor, p: float, seed: int | None, *, out: Tensor) -> None:
    rows = _rows(x)
    scalars = (_threshold(p), *_typed(x, _scale(p), 0), _seed(p, seed))
    parallel(kernels.drop_rectify, len(rows), rows, _rows(out), *scalars, cost=rows.shape[1])


def _normalise_drop_rectify(
    x: Tensor, norm: Norm, p: float, seed: int | None, *, out: Tensor
) -> tuple[Tensor, Tensor]:
    rows = _rows(x)
    mean, rstd = x.new_empty(2, len(rows))
    scale, zero, eps = _typed(x, _scale(p), 0, norm.eps)
    parallel(
        kernels.normalise_drop_rectify,
        *(len(rows), rows, _rows(out), norm.weight.contiguous(), norm.bias.contiguous()),
        *(eps, _threshold(p), scale, zero, _seed(p, seed), mean, rstd),
        cost=2 * rows.shape[1],
    )
    return mean, rstd


def _rectify_bfloat16(x: Tensor, norm: Norm | None, p: float, seed: int | None) -> None:
    bits = _rows(x).view(torch.uint16)
    cost = 2 * bits.shape[1]
    scale, zero = np.float32(_scale(p)), np.float32(0)
    chance = _threshold(p), scale, zero, _seed(p, seed)
    if norm is None:
        parallel(kernels.drop_rectify_bfloat16, len(bits), bits, *chance, cost=cost)
        return
    affine = norm.weight.contiguous(), norm.bias.contiguous(), np.float32(norm.eps)
    kernel = kernels.normalise_drop_rectify_bfloat16
    parallel(kernel, len(bits), bits, *affine, *chance, cost=cost)


def _drop(x: Tensor, p: float, seed: np.uint64) -> Tensor:
    """Works on a flat view, so that every shape is equally fast."""
    out = torch.empty_like(x)
    scalars = (_threshold(p), *_typed(x, _scale(p), 0), seed)
    whole = x.numel() // _ROW
    for first, count, width in ((0, whole, _ROW), (whole, 1, x.numel() % _ROW)):
        piece = slice(first * _ROW, first * _ROW + count * width)
        arrays = (tensor.view(-1)[piece].view(count, width) for tensor in (x, out))
        parallel(kernels.drop, count, *arrays, *scalars, first, cost=width)
    return out


def _rows(x: Tensor) -> Tensor:
    return x.view(math.prod(x.shape[:-1]), x.shape[-1])


def _typed(like: Tensor, *values: float) -> tuple[Any, ...]:
    number = np.float64 if like.dtype == torch.float64 else np.float32
    return tuple(number(value) for value in values)


def _threshold(p: float) -> np.uint32:
    """Of 32 random bits, from which on an entry is kept."""
    return np.uint32(min(round(p * 2**32), 2**32 - 1))


def _seed(p: float, given: int | None) -> np.uint64:
    if p > 0 and given is None:
        given = int(torch.randint(2**63 - 1, ()))
    return np.uint64(given or 0)


def _scale(p: float) -> float:
    return 1 / (1 - p) if p < 1 else 0.0
