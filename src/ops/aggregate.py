"""Gather rows of a matrix, and pool them over ragged lists."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

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
        x: (N, H) floating point.
        rowptr: (B + 1,) int64, list ``b`` is ``node[rowptr[b]:rowptr[b + 1]]``.
        node: (nnz,) int64.
        weight: (nnz,) factor of every row, for ``reduce="sum"`` only; cast to the type of ``x``.

    Returns:
        (B, H) of the type of ``x``.

    Raises:
        ValueError: if a weight is given with another reduction.
    """
    if weight is not None:
        if reduce != "sum":
            raise ValueError(f'weight needs reduce="sum", got reduce="{reduce}"')
        weight = weight.to(x.dtype)
    return F.embedding_bag(
        node, x, rowptr, mode=reduce, per_sample_weights=weight, include_last_offset=True
    )


def gather(x: Tensor, node: Tensor) -> Tensor:
    """``x[node]``: (N, H) and (B,) give (B, H).

    Unlike indexing, whose gradient is summed in an order that threads decide, the gradient is
    bit-deterministic on CPU and CUDA however often a node repeats.
    """
    return F.embedding(node, x)
