"""Values of pairs of nodes of which nearly all are zero, as PageRank's: a sparse row a node."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops.csr import Graph, offsets
from runner.ops.overlap import NeighbourLists, common_neighbours
from runner.ops.sparse_rows import SparseRows


@dataclass(frozen=True, eq=False)
class NodeValues:
    """An (N, N) matrix by those of its entries that are not zero.

    Attributes:
        entries: where they stand: row u holds the nodes with a value at u, u itself too where it
            has one.
        value: (nnz,) floating point.
    """

    entries: Graph
    value: Tensor

    @classmethod
    def of_rows(cls, nodes: Tensor, rows: SparseRows) -> NodeValues:
        """The rows of some ``nodes``, (n,) int64 ascending; those of the others are empty."""
        counts = torch.zeros(rows.num_columns, dtype=torch.int64, device=nodes.device)
        counts[nodes] = rows.rowptr.diff()
        ids = torch.int32 if rows.col.device.type == "cpu" else torch.int64
        return cls(Graph(offsets(counts), rows.col.to(ids)), rows.value)

    def at(self, u: Tensor, w: Tensor) -> Tensor:
        """The values at (u, w), (B,) each; zero where there is no entry."""
        place = self.entries.find(torch.stack((u, w)))
        if not self.value.numel():
            return self.value.new_zeros(place.shape)
        return self.value[place.clamp(min=0)].masked_fill_(place < 0, 0)

    def shared(self, pairs: Tensor) -> tuple[NeighbourLists, Tensor, Tensor]:
        """The nodes with a value at both ends of each pair, and these values, (nnz,) each."""
        lists = common_neighbours(self.entries, pairs)
        u, v = pairs[:, lists.target]
        return lists, self.at(u, lists.node), self.at(v, lists.node)

    def to(self, device: torch.device) -> NodeValues:
        return NodeValues(self.entries.to(device), self.value.to(device))

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`of_tensors` makes it of again, for a predictor's structure."""
        return {"rowptr": self.entries.rowptr, "col": self.entries.col, "value": self.value}

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor]) -> NodeValues:
        col = tensors["col"]
        col = col if col.device.type == "cpu" else col.long()
        return cls(Graph(tensors["rowptr"], col), tensors["value"])
