"""Which nodes, and which neighbours of another node, lie two steps from a node."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.csr import Adjacency, Graph, offsets
from runner.ops.kernels import second_neighbours as kernels
from runner.ops.kernels.parallel import parallel
from runner.ops.kernels.two_hop import reach_neighbours
from runner.ops.overlap import NeighbourLists, check_pairs, common_neighbours, rows

_MOST_CELLS = 2**27  # bytes of the table of one block of nodes
_MOST_WALKS = 2**24  # walks of two steps listed at a time
_MOST_ENDS = 2**20  # nodes, to which all walks are counted at a time


def two_hop_overlaps(graph: Graph, pairs: Tensor) -> tuple[NeighbourLists, NeighbourLists]:
    """N(u) ∩ N²(v) and N²(u) ∩ N(v) of every pair.

    N²(v) holds the ends of all walks of two steps from v, v itself included where it has a
    neighbour: the columns of row v of the squared adjacency matrix.

    Args:
        pairs: (2, B) int64; u = v is allowed.

    Raises:
        ValueError: on a wrong shape or an id outside the graph.
    """
    check_pairs(graph, pairs)
    u, v = pairs
    of_u, of_v = rows(graph, u), rows(graph, v)
    within = within_two_steps(
        graph,
        torch.cat((v[of_u.target], u[of_v.target])),
        torch.cat((of_u.node, of_v.node)),
    )
    of_u_within, of_v_within = within.split((of_u.node.numel(), of_v.node.numel()))
    return of_u.keep(of_u_within), of_v.keep(of_v_within)


def second_neighbours(graph: Graph, wanted: Tensor) -> Adjacency:
    """The nodes at distance two of the nodes that are ``wanted``, (N,) bool; of others none.

    That is the pattern of A² without those of A and I.
    """
    if backend.compiled(graph.col):
        counts = torch.empty(graph.num_nodes, dtype=torch.int64)
        walks = (graph.num_entries / max(1, graph.num_nodes)) ** 2
        given = graph.rowptr, graph.col, wanted
        parallel(kernels.count_second, graph.num_nodes, *given, counts, cost=4 * walks)
        rowptr = offsets(counts)
        col = torch.empty(int(rowptr[-1]), dtype=graph.col.dtype)
        parallel(kernels.list_second, graph.num_nodes, *given, rowptr, col, cost=4 * walks)
        return Adjacency(rowptr, col)
    sources = wanted.nonzero().flatten()
    found = [torch.zeros(2, 0, dtype=torch.int64, device=graph.col.device)]
    for first, last in _blocks(graph, sources):
        middle = rows(graph, sources[first:last])
        ends = rows(graph, middle.node)
        key = torch.unique(middle.target[ends.target] * graph.num_nodes + ends.node)
        source = sources[first + torch.div(key, graph.num_nodes, rounding_mode="floor")]
        both = torch.stack([source, key % graph.num_nodes])
        found.append(both[:, (both[0] != both[1]) & (graph.find(both) < 0)])
    row, col = torch.cat(found, dim=1)
    return Adjacency(offsets(torch.bincount(row, minlength=graph.num_nodes)), col)


def reached_neighbours(
    graph: Graph, pairs: Tensor, *, count: bool
) -> tuple[NeighbourLists, Tensor, Tensor]:
    """N(u) of every pair, and how v reaches each of these neighbours in one step, and in two.

    Args:
        graph: symmetric.
        pairs: (2, B) int64; u = v is allowed.
        count: the walks of two steps, (A²)[v, w]; else 1 where there is one.

    Returns:
        N(u), whether the neighbour is one of v too, (nnz,) bool, and the walks, (nnz,) int32.

    Raises:
        ValueError: on a wrong shape or an id outside the graph.
    """
    check_pairs(graph, pairs)
    u, v = pairs.contiguous()
    listed = rows(graph, u)
    if backend.compiled(graph.col):
        shared = torch.empty_like(listed.node, dtype=torch.bool)
        walks = torch.empty_like(listed.node, dtype=torch.int32)
        each = listed.node.numel() * graph.num_entries / max(1, graph.num_nodes * u.numel())
        arguments = graph.rowptr, graph.col, u, v, listed.rowptr, count, shared, walks
        parallel(reach_neighbours, u.numel(), *arguments, cost=10 + each)
        return listed, shared, walks
    start = v[listed.target]
    shared = graph.find(torch.stack((start, listed.node))) >= 0
    if not count:
        return listed, shared, within_two_steps(graph, start, listed.node).int()
    middle = torch.stack((start, listed.node)).split(_MOST_ENDS, dim=1)
    walks = torch.cat([common_neighbours(graph, part).counts() for part in middle])
    return listed, shared, walks.int()


def within_two_steps(graph: Graph, start: Tensor, end: Tensor) -> Tensor:
    """Whether a walk of exactly two steps leads from ``start`` to ``end``, (Q,) int64 each.

    All ends that can be reached from a block of nodes are marked in a table once, however often
    the nodes are asked for.

    Returns:
        (Q,) bool
    """
    sources, index = torch.unique(start, return_inverse=True)
    found = torch.zeros_like(start, dtype=torch.bool)
    query = torch.argsort(index, stable=True)
    asked = torch.searchsorted(index[query], torch.arange(sources.numel() + 1, device=start.device))
    for first, last in _blocks(graph, sources):
        table = torch.zeros((last - first) * graph.num_nodes, dtype=torch.bool, device=start.device)
        middle = rows(graph, sources[first:last])
        ends = rows(graph, middle.node)
        table.index_fill_(0, middle.target[ends.target] * graph.num_nodes + ends.node, True)
        mine = query[asked[first] : asked[last]]
        found[mine] = table[(index[mine] - first) * graph.num_nodes + end[mine]]
    return found


def _blocks(graph: Graph, sources: Tensor) -> list[tuple[int, int]]:
    """Ranges of ``sources`` small enough to be handled at a time; a hub may stand alone."""
    degree = graph.degree()
    listed = rows(graph, sources)
    walks = torch.zeros_like(sources).index_add_(0, listed.target, degree[listed.node])
    # A block ends where the running total enters another multiple of the limit.
    number = torch.div(walks.cumsum(0), _MOST_WALKS, rounding_mode="floor")
    widest = max(1, _MOST_CELLS // max(graph.num_nodes, 1))
    blocks, begin = [], 0
    for count in number.unique_consecutive(return_counts=True)[1].tolist():
        end = begin + count
        blocks += [(first, min(first + widest, end)) for first in range(begin, end, widest)]
        begin = end
    return blocks
