"""A matrix that is nearly all zeros, such as bags of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops.aggregate import pool
from runner.ops.csr import entries_of, offsets

_SPARSE = 0.05  # share of nonzero entries up to which sparse products are faster


@dataclass(frozen=True, eq=False)
class SparseRows:
    """An (N, F) matrix by the entries of its rows that are not zero.

    Shapes:
        - ``rowptr``: (N + 1,) int64, row ``i`` holds entries ``rowptr[i]`` to ``rowptr[i + 1]``
        - ``col``: (nnz,) int64, ascending within each row
        - ``value``: (nnz,) floating point
    """

    rowptr: Tensor
    col: Tensor
    value: Tensor
    num_columns: int

    @classmethod
    def from_dense(cls, x: Tensor) -> SparseRows:
        """The entries of ``x``, (N, F), that are not zero."""
        row, col = x.nonzero(as_tuple=True)
        rowptr = offsets(torch.bincount(row, minlength=x.size(0)))
        return cls(rowptr, col, x[row, col], x.size(1))

    @classmethod
    def joined(cls, parts: Sequence[SparseRows]) -> SparseRows:
        """The rows of all parts, at least one, below each other."""
        counts = torch.cat([part.rowptr.diff() for part in parts])
        col = torch.cat([part.col for part in parts])
        value = torch.cat([part.value for part in parts])
        return cls(offsets(counts), col, value, parts[0].num_columns)

    @property
    def device(self) -> torch.device:
        return self.value.device

    def take(self, nodes: Tensor) -> SparseRows:
        """The rows ``nodes``, (n,) int64, in this order."""
        rowptr, entry = entries_of(self.rowptr, nodes)
        return SparseRows(rowptr, self.col[entry], self.value[entry], self.num_columns)

    def keep(self, mask: Tensor) -> SparseRows:
        """The entries where ``mask``, (nnz,) bool, holds."""
        rowptr = offsets(mask)[self.rowptr]
        return SparseRows(rowptr, self.col[mask], self.value[mask], self.num_columns)

    def to_dense(self) -> Tensor:
        """(N, F), with zeros."""
        x = self.value.new_zeros(self.rowptr.numel() - 1, self.num_columns)
        nodes = torch.arange(x.size(0), device=x.device)
        row = torch.repeat_interleave(nodes, self.rowptr.diff(), output_size=self.col.numel())
        x[row, self.col] = self.value
        return x

    def with_value(self, value: Tensor) -> SparseRows:
        """The same places with other values, (nnz,)."""
        return SparseRows(self.rowptr, self.col, value, self.num_columns)

    def times(self, matrix: Tensor) -> Tensor:
        """The product with ``matrix``, (F, H): (N, H); differentiable in it and in the values."""
        return pool(matrix, self.rowptr, self.col, weight=self.value)

    def to(self, device: torch.device | str) -> SparseRows:
        return SparseRows(
            self.rowptr.to(device), self.col.to(device), self.value.to(device), self.num_columns
        )


def compact(features: Tensor) -> Tensor | SparseRows:
    """Convert features to a sparse matrix if few of them are nonzero (bags of words)."""
    if not features.is_floating_point() or features.count_nonzero() > _SPARSE * features.numel():
        return features
    return SparseRows.from_dense(features)
