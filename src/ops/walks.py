"""The ends of walks of one and two steps: the rows of A + βA²."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.aggregate import pool
from runner.ops.csr import Graph, check_ids, offsets
from runner.ops.kernels import walks as kernels
from runner.ops.kernels.parallel import parallel
from runner.ops.overlap import rows
from runner.ops.sparse_rows import SparseRows


def short_walks(graph: Graph, starts: Tensor) -> SparseRows:
    """The ends of all walks of one and two steps from each of ``starts``, (S,) int64.

    Returns:
        (S, N) int64: twice the number of walks of two steps, and 1 more for a neighbour, so that an
        entry of A + βA² is ``(value & 1) + β * (value >> 1)``.

    Raises:
        ValueError: if a start lies outside the graph.
    """
    check_ids(starts, graph.num_nodes, "starts")
    if backend.compiled(graph.col):
        cost = 8.0 * (1 + graph.num_entries / max(1, graph.num_nodes)) ** 2
        given = graph.rowptr, graph.col, starts.contiguous()
        found = parallel(kernels.short_walks, starts.numel(), *given, cost=cost)
        counts, nodes, values = (
            torch.cat([torch.from_numpy(part) for part in parts])
            for parts in zip(*found, strict=True)
        )
        return SparseRows(offsets(counts), nodes.long(), values, graph.num_nodes)
    middle = rows(graph, starts)
    ends = rows(graph, middle.node)
    once = middle.target * graph.num_nodes + middle.node
    twice = middle.target[ends.target] * graph.num_nodes + ends.node
    key, place = torch.unique(torch.cat((once, twice)), return_inverse=True)
    step = torch.ones_like(place)
    step[once.numel() :] = 2
    value = torch.zeros_like(key).index_add_(0, place, step)
    row = torch.div(key, max(1, graph.num_nodes), rounding_mode="floor")
    counts = torch.bincount(row, minlength=starts.numel())
    return SparseRows(offsets(counts), key - row * graph.num_nodes, value, graph.num_nodes)


def count_short_walks(graph: Graph) -> Tensor:
    """How many walks of one and two steps start at each node, (N,) int64."""
    degree = graph.degree()
    return degree + pool(degree.double().unsqueeze(1), graph.rowptr, graph.col).squeeze(1).long()
