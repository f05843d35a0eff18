"""Personalised PageRank of few starts, as sparse rows."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops.csr import Graph, check_ids, offsets
from runner.ops.kernels import pagerank as kernels
from runner.ops.kernels.parallel import parallel
from runner.ops.sparse_rows import SparseRows


def personalised_pagerank(
    graph: Graph, starts: Tensor, *, damping: float = 0.85, epsilon: float = 1e-5
) -> SparseRows:
    """The random walks that restart at each of ``starts``: where they are, with which probability.

    By push (Andersen, Chung and Lang 2006): estimates are too low by at most ``epsilon`` times the
    degree, and a node below that may be left out. The heuristic of that name iterates over all
    nodes, for which a large graph has no time. Time and memory follow 1 / (epsilon · (1 -
    damping)), not the size of the graph.

    Args:
        graph: symmetric, on the CPU.
        starts: (S,) int64.
        damping: probability of another step.

    Returns:
        (S, N) float64, columns ascending in each row.

    Raises:
        ValueError: if a start lies outside the graph, or a number outside its range.
    """
    check_ids(starts, graph.num_nodes, "starts")
    if not 0 < damping < 1 or epsilon <= 0:
        raise ValueError(
            f"damping must be between 0 and 1 and epsilon above 0, got {damping}, {epsilon}"
        )
    given = graph.rowptr, graph.col, starts.contiguous(), damping, epsilon
    cost = min(1 / (epsilon * (1 - damping)), 64.0 * (graph.num_entries + graph.num_nodes))
    found = parallel(kernels.push, starts.numel(), *given, cost=cost)
    counts, nodes, values = (
        torch.cat([torch.from_numpy(part) for part in parts]) for parts in zip(*found, strict=True)
    )
    return SparseRows(offsets(counts), nodes, values, graph.num_nodes)
