"""The graph: one compressed sparse row (CSR) structure that every other operator reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.kernels import csr as kernels
from runner.ops.kernels.parallel import parallel, split
from runner.ops.kernels.pool import list_by_node

_ALIGNED = 16  # bytes, of which a GPU copies as many at a time


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Neighbours of nodes as CSR rows: of a :class:`Graph`, or of some of its nodes.

    Shapes:
        - ``rowptr``: (N + 1,) int64, row ``u`` holds entries ``rowptr[u]`` to ``rowptr[u + 1]``
        - ``col``: (E,) int32 on the CPU (int64 with 2^31 nodes or more, and on other devices)
    """

    rowptr: Tensor
    col: Tensor

    @property
    def num_nodes(self) -> int:
        """Number of nodes that have a row."""
        return self.rowptr.numel() - 1

    @property
    def num_entries(self) -> int:
        return self.col.numel()

    def degree(self) -> Tensor:
        """Number of neighbours of every node, (N,) int64."""
        return self.rowptr.diff()


@dataclass(frozen=True, eq=False)
class Graph(Adjacency):
    """A simple graph as CSR adjacency, without self-loops.

    ``col`` ascends within each row; an undirected edge has two entries. :meth:`from_edges` makes it
    symmetric. :meth:`keep` may make it directed (edge dropout does); the neighbours of ``u`` are
    then the columns of row ``u``.

    Attributes:
        symmetric: known to have every entry in both directions.
    """

    symmetric: bool = False

    @cached_property
    def row(self) -> Tensor:
        """Row of every entry, (E,) int64."""
        nodes = torch.arange(self.num_nodes, device=self.col.device)
        return torch.repeat_interleave(nodes, self.degree(), output_size=self.num_entries)

    @cached_property
    def key(self) -> Tensor:
        """``row * N + col`` of every entry, (E,) int64, strictly ascending."""
        return self.row * self.num_nodes + self.col

    @cached_property
    def matrix(self) -> Tensor:
        """Whether u and v are linked, (N, N') bool; N' is N, or a little more for fast copying."""
        n = self.num_nodes
        columns = -(-n // _ALIGNED) * _ALIGNED
        cells = torch.zeros(n * columns, dtype=torch.bool, device=self.col.device)
        return cells.index_fill_(0, self.row * columns + self.col, True).view(n, columns)

    @classmethod
    def from_edges(cls, edge_index: Tensor, num_nodes: int | None = None) -> Graph:
        """Build the simple symmetric graph of a list of edges.

        Both directions are stored; duplicates (in either direction) and self-loops are dropped.

        Args:
            edge_index: (2, M) int64, one column an edge, in any order.
            num_nodes: N; nodes without edges are allowed. None for the highest id + 1.

        Raises:
            ValueError: on a wrong shape or dtype, or an id outside 0 to N - 1.
        """
        if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype != torch.int64:
            raise ValueError(
                "edge_index must be an int64 tensor of shape (2, M), "
                f"got {edge_index.dtype} of shape {tuple(edge_index.shape)}"
            )
        if num_nodes is None:
            num_nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0
        check_ids(edge_index, num_nodes, "edge_index")
        if backend.compiled(edge_index):
            return cls(*_symmetric_rows(edge_index.contiguous(), num_nodes), symmetric=True)
        u, v = edge_index[:, edge_index[0] != edge_index[1]]
        key = torch.unique(torch.cat((u * num_nodes + v, v * num_nodes + u)))
        # A graph without nodes has no entries: any divisor will do.
        divisor = max(num_nodes, 1)
        row = torch.div(key, divisor, rounding_mode="floor")
        rowptr = offsets(torch.bincount(row, minlength=num_nodes))
        col = (key - row * divisor).to(_type_of_ids(num_nodes, key.device))
        return cls(rowptr, col, symmetric=True)

    @classmethod
    def from_pyg(cls, data: Any) -> Graph:
        """Build the simple symmetric graph of a PyTorch Geometric ``Data``, on its device.

        As in :meth:`from_edges`, directions are forgotten, and duplicates and self-loops dropped;
        weights and attributes of edges are not read.

        Args:
            data: with ``edge_index`` (2, M) and ``num_nodes``.

        Raises:
            ValueError: if it has no ``edge_index`` of its own, or a wrong one.
        """
        if not hasattr(data, "edge_index") or data.edge_index is None:
            raise ValueError(
                f"{type(data).__name__} has no edge_index; of a HeteroData give "
                "data.to_homogeneous(), of an adj_t leave ToSparseTensor out"
            )
        return cls.from_edges(data.edge_index, data.num_nodes)

    @classmethod
    def from_networkx(cls, graph: Any) -> Graph:
        """Build the simple symmetric graph of a networkx graph; node i is ``list(graph)[i]``.

        As in :meth:`from_edges`, directions are forgotten, and parallel edges and self-loops
        dropped; weights and attributes are not read.

        Args:
            graph: any of networkx's four classes, with nodes of any kind.
        """
        number = {node: i for i, node in enumerate(graph)}
        ends = [number[node] for edge in graph.edges() for node in edge]
        edge_index = torch.tensor(ends, dtype=torch.int64).view(-1, 2).t()
        return cls.from_edges(edge_index, len(number))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of rows and columns, the same on every device."""
        digest = hashlib.sha256()
        for tensor in (self.rowptr, self.col.to(_type_of_ids(self.num_nodes, torch.device("cpu")))):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def find(self, pairs: Tensor) -> Tensor:
        """Position of the entry (u, v) of every pair, -1 where there is none.

        Args:
            pairs: (2, B) int64, ids from 0 to N - 1.

        Returns:
            (B,) int64
        """
        if backend.compiled(self.col):
            u, v = pairs.contiguous()
            found = torch.empty_like(u)
            cost = 8 + self.num_entries / max(1, self.num_nodes)
            parallel(kernels.find, u.numel(), self.rowptr, self.col, u, v, found, cost=cost)
            return found
        if self.num_entries == 0:
            return torch.full_like(pairs[0], -1)
        query = pairs[0] * self.num_nodes + pairs[1]
        position = torch.searchsorted(self.key, query).clamp_(max=self.num_entries - 1)
        return position.masked_fill_(self.key[position] != query, -1)

    def keep(self, mask: Tensor, *, symmetric: bool = False) -> Graph:
        """The graph of the entries where ``mask``, (E,) bool, holds; linear in E, no sorting.

        Args:
            symmetric: of a symmetric graph, the mask is the same for both directions of an edge.
        """
        symmetric = symmetric and self.symmetric
        if mask.shape != self.col.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"mask must be a bool tensor of shape ({self.num_entries},), "
                f"got {mask.dtype} of shape {tuple(mask.shape)}"
            )
        if backend.compiled(self.col):
            return Graph(*_kept_rows(self.rowptr, self.col, mask.contiguous()), symmetric)
        return Graph(offsets(mask)[self.rowptr], self.col[mask], symmetric)

    def to(self, device: torch.device | str) -> Graph:
        device = torch.device(device)
        ids = _type_of_ids(self.num_nodes, device)
        return Graph(self.rowptr.to(device), self.col.to(device, ids), self.symmetric)


def _type_of_ids(num_nodes: int, device: torch.device) -> torch.dtype:
    """Half as many bytes to read where kernels of ours read them; elsewhere what torch takes."""
    return torch.int32 if device.type == "cpu" and num_nodes < 2**31 else torch.int64


def _symmetric_rows(edges: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """Rows of all partners, transposed once, which sorts them, and without repetitions."""
    counts = torch.zeros(num_nodes, dtype=torch.int64)
    threads = torch.get_num_threads() if edges.size(1) > 10_000 else 1
    equal = [num_nodes * thread // threads for thread in range(threads + 1)]
    split(kernels.count_partners, equal, edges, counts)
    rowptr = offsets(counts)
    partner = torch.empty(int(rowptr[-1]), dtype=_type_of_ids(num_nodes, edges.device))
    shares = shares_of_nodes(rowptr)
    split(kernels.list_partners, shares, edges, rowptr[:-1].clone(), partner)
    col, none = torch.empty_like(partner), torch.empty(0)
    split(list_by_node, shares, rowptr, partner, none, rowptr[:-1].clone(), col, none)
    cost = 1 + col.numel() / max(1, num_nodes)
    parallel(kernels.count_distinct, num_nodes, rowptr, col, counts, cost=cost)
    distinct = offsets(counts)
    if distinct[-1] == col.numel():
        return rowptr, col
    partner = partner[: int(distinct[-1])]
    parallel(kernels.copy_distinct, num_nodes, rowptr, col, distinct, partner, cost=cost)
    return distinct, partner.clone()


def _kept_rows(rowptr: Tensor, col: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    num_nodes = rowptr.numel() - 1
    counts, cost = torch.empty(num_nodes, dtype=torch.int64), 1 + col.numel() / max(1, num_nodes)
    parallel(kernels.count_kept, num_nodes, rowptr, mask, counts, cost=cost)
    kept = offsets(counts)
    out = torch.empty(int(kept[-1]), dtype=col.dtype)
    parallel(kernels.copy_kept, num_nodes, rowptr, col, mask, kept, out, cost=cost)
    return kept, out


def shares_of_nodes(rowptr: Tensor) -> list[int]:
    """Bounds of ranges of nodes with about as many entries each, one for every thread.

    Nodes without an entry at the end are in none.
    """
    total = int(rowptr[-1])
    threads = torch.get_num_threads() if total > 10_000 else 1
    return torch.searchsorted(rowptr, torch.arange(threads + 1) * total // threads).tolist()


def offsets(counts: Tensor) -> Tensor:
    """Running total of ``counts``, (B,), starting from 0: (B + 1,) int64."""
    total = torch.zeros(counts.numel() + 1, dtype=torch.int64, device=counts.device)
    torch.cumsum(counts, dim=0, out=total[1:])
    return total


def entries_of(rowptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Of some rows, the offsets, (n + 1,), and positions, (nnz,) int64, of their entries."""
    start = rowptr[rows]
    count = rowptr[rows + 1] - start
    bounds = offsets(count)
    total = int(bounds[-1])
    shift = torch.repeat_interleave(start - bounds[:-1], count, output_size=total)
    return bounds, torch.arange(total, device=rows.device).add_(shift)


def check_ids(nodes: Tensor, num_nodes: int, name: str) -> None:
    """Raise ValueError where an id lies outside 0 to ``num_nodes`` - 1."""
    if nodes.numel() == 0:
        return
    low, high = (int(bound) for bound in nodes.aminmax())
    if low < 0 or high >= num_nodes:
        raise ValueError(f"{name} holds ids {low} to {high}, but nodes are 0 to {num_nodes - 1}")
