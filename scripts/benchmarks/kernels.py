"""The neighbourhood operators on the pairs of one training batch, beside other ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from benchmarks.graphs import collab_shaped, config, load, missing
from benchmarks.timing import copy_bandwidth, in_turn
from runner.machine import hardware
from runner.ops import backend
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.distance_counts import distance_counts
from runner.ops.overlap import common_neighbours, neighbourhoods, sum_over_common_neighbours
from runner.ops.pagerank import personalised_pagerank

PAIRS, WIDTH = 65_536, 64


def measure(*, threads: int | None, repeats: int, limit: int) -> list[dict[str, Any]]:
    """A row for each operator: seconds of ours, of the others, and of the floor.

    Ours twice: in turn with the others, which leave nothing of it in the caches, and in a row.
    torch_sparse, where it is installed, has no difference of matrices: it lists common neighbours.
    """
    hardware.set_up(device="cpu", threads=threads, deterministic=True)
    case = collab_shaped(1.0)
    seeded = torch.Generator().manual_seed(0)
    rows = torch.randperm(case.edges.shape[1], generator=seeded)
    pairs = case.edges[:, rows[:PAIRS]]
    graph = Graph.from_edges(case.edges[:, rows[PAIRS:]], case.num_nodes)  # targets removed
    x = torch.randn(case.num_nodes, WIDTH, generator=seeded)

    common, only_u, only_v = neighbourhoods(graph, pairs)
    inner = torch.stack([pairs[1][only_u.target], only_u.node])[:, : 16 * PAIRS]
    bandwidth = copy_bandwidth()
    read = 4 * int(graph.degree()[pairs].sum())  # both rows at 4 bytes a neighbour
    listed = common.node.numel() + only_u.node.numel() + only_v.node.numel()
    index = common.node.element_size()
    rowptr = 3 * common.rowptr.numel() * 8
    shared = {"SciPy": lambda: _scipy(graph, pairs)}
    pooled = {"SciPy": lambda: _scipy(graph, pairs) @ x.numpy()}
    if (adjacency := _torch_sparse_matrix(graph)) is not None:
        shared["torch_sparse"] = lambda: _torch_sparse(adjacency, pairs)
        pooled["torch_sparse"] = lambda: _torch_sparse(adjacency, pairs) @ x
    return [
        _row(
            "common neighbours, listed",
            lambda: common_neighbours(graph, pairs),
            shared,
            (read + common.node.numel() * index + rowptr / 3) / bandwidth,
            repeats,
        ),
        _row(
            "common neighbours, pooled (width 64)",
            lambda: pool(x, *_lists(common_neighbours(graph, pairs))),
            pooled,
            (read + (common.node.numel() + PAIRS) * WIDTH * 4) / bandwidth,
            repeats,
        ),
        _row(
            "common and one-sided neighbours, listed",
            lambda: neighbourhoods(graph, pairs),
            {"SciPy": lambda: _scipy_one_sided(graph, pairs)},
            (read + listed * index + rowptr) / bandwidth,
            repeats,
        ),
        _row(
            f"pooled over the common neighbours of {inner.shape[1]:,} inner pairs",
            lambda: sum_over_common_neighbours(graph, inner, x, start=torch.zeros(WIDTH)),
            {},
            4 * int(graph.degree()[inner[1]].sum()) / bandwidth
            + inner.shape[1] * WIDTH * 4 / bandwidth,
            repeats,
        ),
        _row(
            "nodes within one and two steps of both, counted",
            lambda: distance_counts(graph, pairs, 2),
            {"SciPy": lambda: _scipy_distance_counts(graph, pairs)},
            4 * int(distance_counts(graph, pairs, 2).second[:, 1].sum()) / bandwidth,
            repeats,
        ),
    ]


def measure_pagerank(*, threads: int | None, repeats: int, limit: int) -> list[dict[str, Any]]:
    """Seconds of PageRank by push, and of SciPy's power iteration to the same error.

    SciPy holds a number for each node and start: on the large graph it gets a part of the starts.
    """
    hardware.set_up(device="cpu", threads=threads, deterministic=True)
    seeded = torch.Generator().manual_seed(0)
    cases = [("collab-shaped", collab_shaped(1.0).graph(), 10_000, 5e-5, 10)]
    if missing("cora") is None:
        cora = load("cora", config("ncn", "cora")).graph()
        cases.insert(0, ("cora", cora, cora.num_nodes, 1e-7, cora.num_nodes))
    rows = []
    for name, graph, count, epsilon, of_scipy in cases:
        starts = torch.randperm(graph.num_nodes, generator=seeded)[:count].sort().values
        candidates = {
            "ours": partial(personalised_pagerank, graph, starts, epsilon=epsilon),
            "SciPy": partial(_scipy_pagerank, graph, starts[:of_scipy], epsilon),
        }
        taken = in_turn(candidates, max(1, repeats // 5))
        row = {"graph": name, "starts": count, "error a neighbour": epsilon}
        rows.append({**row, "of SciPy": of_scipy, **{n: t.seconds for n, t in taken.items()}})
    return rows


def _lists(lists: Any) -> tuple[Tensor, Tensor]:
    return lists.rowptr, lists.node


def _row(
    name: str,
    ours: Callable[[], Any],
    others: Mapping[str, Callable[[], Any]],
    floor: float,
    repeats: int,
) -> dict[str, Any]:
    def plain() -> None:
        with backend.plain():
            ours()

    taken = in_turn({"ours": ours, "plain PyTorch": plain, **others}, repeats)
    taken |= in_turn({"in a row": ours}, repeats)
    return {"name": name, "floor": floor, **{n: times.seconds for n, times in taken.items()}}


def _matrix(graph: Graph) -> sparse.csr_array:
    shape = (graph.num_nodes, graph.num_nodes)
    ones = np.ones(graph.num_entries, dtype=np.float32)
    return sparse.csr_array((ones, graph.col.numpy(), graph.rowptr.numpy()), shape)


def _scipy(graph: Graph, pairs: Tensor) -> sparse.csr_array:
    adjacency = _matrix(graph)
    return adjacency[pairs[0].numpy()].multiply(adjacency[pairs[1].numpy()]).tocsr()


def _scipy_one_sided(graph: Graph, pairs: Tensor) -> tuple[sparse.csr_array, ...]:
    adjacency = _matrix(graph)
    of_u, of_v = (adjacency[side.numpy()] for side in pairs)
    common = of_u.multiply(of_v).tocsr()
    return common, of_u - common, of_v - common


def _scipy_distance_counts(graph: Graph, pairs: Tensor) -> list[np.ndarray]:
    """Intersections of the balls, of the balls of each distinct end once."""
    ball = _matrix(graph) + sparse.eye_array(graph.num_nodes, dtype=np.float32, format="csr")
    ends, (u, v) = np.unique(pairs.numpy(), return_inverse=True)
    balls = [ball[ends], ball[ends] @ ball]
    for found in balls:
        found.data[:] = 1
    return [one[u].multiply(other[v]).sum(1) for one in balls for other in balls]


def _scipy_pagerank(graph: Graph, starts: Tensor, epsilon: float) -> np.ndarray:
    """(N, S), of as many steps as leave less than ``epsilon`` of a walk."""
    scale = sparse.diags_array(1 / graph.degree().clamp(min=1).numpy())
    step = (_matrix(graph).astype(np.float64) @ scale).tocsr()
    start = np.zeros((graph.num_nodes, len(starts)))
    start[starts.numpy(), np.arange(len(starts))] = 1
    found = 0.15 * start
    for _ in range(round(np.log(epsilon) / np.log(0.85))):
        found = 0.15 * start + 0.85 * (step @ found)
    return found


def _torch_sparse_matrix(graph: Graph) -> Any | None:
    try:
        from torch_sparse import SparseTensor
    except (ImportError, OSError):  # not installed, or built for another torch
        return None
    shape, ones = (graph.num_nodes, graph.num_nodes), torch.ones(graph.num_entries)
    col = graph.col.long()
    return SparseTensor(rowptr=graph.rowptr, col=col, value=ones, sparse_sizes=shape)


def _torch_sparse(adjacency: Any, pairs: Tensor) -> Any:
    return adjacency[pairs[0]] * adjacency[pairs[1]]
