"""Attention over ragged lists."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops.aggregate import pool


def attend(x: Tensor, score: Tensor, rowptr: Tensor, entry: Tensor) -> Tensor:
    """Σ softmax(score) x over every list, for each head; an empty list gives zeros.

    Differentiable in ``x`` and ``score``, as deterministic as :func:`runner.ops.aggregate.pool`.

    Args:
        x: (n, heads, H) floating point.
        score: (n, heads).
        rowptr: (B + 1,) int64, list ``b`` is ``entry[rowptr[b]:rowptr[b + 1]]``.
        entry: (nnz,) int64, rows of ``x`` and ``score``; a row stands in one list.

    Returns:
        (B, heads, H)
    """
    target = torch.empty_like(entry)
    lists = torch.arange(rowptr.numel() - 1, device=entry.device)
    target[entry] = torch.repeat_interleave(lists, rowptr.diff(), output_size=entry.numel())
    with torch.no_grad():
        largest = pool(score, rowptr, entry, reduce="max")
    share = (score - largest[target]).exp()
    total = pool(share, rowptr, entry)
    total = torch.where(total == 0, 1, total)  # of an empty list
    heads = [
        pool(x[:, head], rowptr, entry, weight=share[entry, head]) for head in range(x.size(1))
    ]
    return torch.stack(heads, dim=1) / total.unsqueeze(2)
