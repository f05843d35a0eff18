"""Corrupted views of a graph and its features, for contrastive learning."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows


def keep_edges(graph: Graph, keep: Tensor, *, apart: bool = False) -> Graph:
    """A draw of edges from torch's default generator, on the CPU: both directions go together.

    Args:
        graph: symmetric.
        keep: (E,), the probability of each entry, the same for both directions.
        apart: draw each direction for itself: the view is directed.
    """
    drawn = torch.rand(graph.num_entries)
    if not apart:
        other = graph.find(torch.stack([graph.col.long(), graph.row])).cpu()
        drawn = drawn[torch.minimum(other, torch.arange(graph.num_entries))]
    return graph.keep(drawn.to(keep.device) < keep, symmetric=not apart)


def drop_columns(features: Tensor | SparseRows, drop: Tensor) -> Tensor | SparseRows:
    """Columns set to zero, drawn from torch's default generator, on the CPU.

    Args:
        features: (N, F) floating point.
        drop: (F,), the probability of each column.
    """
    kept = torch.rand(drop.numel()).to(drop.device) >= drop
    if isinstance(features, SparseRows):
        return features.keep(kept.to(features.device)[features.col])
    return features * kept.to(features)


def sum_of_columns(features: Tensor | SparseRows, weight: Tensor) -> Tensor:
    """Σ_i |x_if| w_i of every column, (F,) float64 on the CPU.

    Args:
        features: (N, F).
        weight: (N,) float64 on the CPU.
    """
    if not isinstance(features, SparseRows):
        return features.cpu().abs().double().T @ weight
    found = features.to("cpu")
    row = torch.repeat_interleave(torch.arange(weight.numel()), found.rowptr.diff())
    values = found.value.abs().double() * weight[row]
    return torch.bincount(found.col, values, minlength=found.num_columns)


def log_of_sums(sums: Tensor) -> Tensor:
    """The logarithm of sums of columns, (F,): of one that is not above 0 that of the smallest.

    A column that no node has counts as the largest, so that it is never dropped.
    """
    above = sums[sums > 0]
    if not above.numel():
        return torch.zeros_like(sums)
    return sums.where(sums > 0, above.min()).where(sums != 0, above.max()).log()
