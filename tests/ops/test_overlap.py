from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numba import njit
from tests.dense_reference import (
    HUB,
    ISOLATED,
    NUM_NODES,
    adjacency,
    overlap,
    random_edges,
    some_pairs,
)
from tests.grids import every_pair

from runner.ops import backend
from runner.ops.csr import Graph
from runner.ops.kernels.neighbourhoods import find_shared, list_neighbourhoods
from runner.ops.overlap import (
    NeighbourLists,
    common_neighbours,
    neighbourhoods,
    sum_over_common_neighbours,
)

pytestmark = pytest.mark.usefixtures("form")


def unpack(lists):
    """The ragged array as a list of lists, after a check that it is one."""
    assert lists.rowptr.dtype == lists.node.dtype == torch.int64
    assert lists.rowptr[0] == 0
    assert lists.rowptr[-1] == lists.node.numel()
    rows = [lists.node[a:b].tolist() for a, b in pairwise(lists.rowptr.tolist())]
    assert lists.counts().tolist() == [len(row) for row in rows]
    assert lists.target.tolist() == [pair for pair, row in enumerate(rows) for _ in row]
    return rows


# 0 is a hub of 1 2 3 4; 1 and 2 are linked, 5 hangs on 4, 6 is isolated.
GRAPH = Graph.from_edges(torch.tensor([[0, 0, 0, 0, 1, 4], [1, 2, 3, 4, 2, 5]]), 7)


@pytest.mark.parametrize(
    ("pair", "common", "only_u", "only_v"),
    [
        ((1, 2), [0], [2], [1]),  # linked: each is a one-sided neighbour of the other
        ((2, 1), [0], [1], [2]),
        ((1, 3), [0], [2], []),
        ((0, 5), [4], [1, 2, 3], []),
        ((3, 5), [], [0], [4]),
        ((0, 6), [], [1, 2, 3, 4], []),
        ((6, 0), [], [], [1, 2, 3, 4]),
        ((6, 6), [], [], []),
        ((0, 0), [1, 2, 3, 4], [], []),
        ((0, 4), [], [1, 2, 3, 4], [0, 5]),
    ],
)
def test_by_hand(pair, common, only_u, only_v):
    pairs = torch.tensor([pair]).T
    assert unpack(common_neighbours(GRAPH, pairs)) == [common]
    assert [unpack(lists) for lists in neighbourhoods(GRAPH, pairs)] == [
        [common],
        [only_u],
        [only_v],
    ]


@pytest.mark.parametrize("seed", range(4))
def test_against_dense_loops(seed):
    edges = random_edges(seed)
    dense = adjacency(edges, NUM_NODES)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    pairs = some_pairs(edges)
    expected = [overlap(dense, u, v) for u, v in pairs.T]
    assert any(row[0] for row in expected)
    assert unpack(common_neighbours(graph, torch.from_numpy(pairs))) == [row[0] for row in expected]
    found = neighbourhoods(graph, torch.from_numpy(pairs))
    for side, lists in enumerate(found):
        assert unpack(lists) == [row[side] for row in expected]


def rows_of_every_length(dtype=torch.int32):
    """From none to some blocks of sixteen; the first node and the last have none."""
    lengths = torch.cat([torch.arange(75).repeat(8), torch.zeros(1, dtype=torch.int64)])
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randperm(150, generator=generator)[:n].sort().values for n in lengths]
    graph = Graph(torch.nn.functional.pad(lengths.cumsum(0), (1, 0)), torch.cat(rows).to(dtype))
    pairs = torch.randint(graph.num_nodes, (6000, 2), generator=generator)
    pairs[0], pairs[-1] = 0, graph.num_nodes - 1
    return graph, pairs.T, [set(row.tolist()) for row in rows]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("parts", ["few", "many"])
def test_rows_of_every_length(dtype, parts, two_threads, monkeypatch):
    if parts == "many":
        monkeypatch.setattr("runner.ops.kernels.parallel._LONG", 1000)
    graph, pairs, neighbours = rows_of_every_length(dtype)
    assert not pairs.is_contiguous()
    of_pairs = [(neighbours[u], neighbours[v]) for u, v in pairs.T.tolist()]
    common = [sorted(u & v) for u, v in of_pairs]
    assert unpack(common_neighbours(graph, pairs)) == common
    found = [unpack(lists) for lists in neighbourhoods(graph, pairs)]
    assert found[0] == common
    assert found[1] == [sorted(u - v) for u, v in of_pairs]
    assert found[2] == [sorted(v - u) for u, v in of_pairs]


@pytest.mark.parametrize("form", ["compiled"], indirect=True)
def test_kernels_stay_within_their_arrays(form):
    graph, pairs, _ = rows_of_every_length()
    given = [x.numpy() for x in (graph.rowptr, graph.col, *pairs.contiguous())]
    checked = njit(boundscheck=True)(find_shared.py_func)
    begin, end, *shared, numbers = checked(0, pairs.size(1), *given)
    lists = [(0, np.empty(n, np.int64), np.empty(pairs.size(1) + 1, np.int64)) for n in numbers]
    njit(boundscheck=True)(list_neighbourhoods.py_func)(begin, end, *given, *shared, *lists)
    for (_, node, rowptr), found in zip(lists, neighbourhoods(graph, pairs), strict=True):
        assert node.tolist() == found.node.tolist()
        assert rowptr[1:].tolist() == found.rowptr[1:].tolist()


def test_directed_graph():
    """After edge dropout an entry may lack its reverse: rows count, columns do not."""
    edges = random_edges(0)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    graph = graph.keep(torch.rand(graph.num_entries) < 0.6)
    dense = torch.zeros(NUM_NODES, NUM_NODES)
    dense[graph.row, graph.col] = 1
    assert not torch.equal(dense, dense.T)
    pairs = some_pairs(edges)
    expected = [overlap(dense.numpy(), u, v) for u, v in pairs.T]
    assert unpack(common_neighbours(graph, torch.from_numpy(pairs))) == [row[0] for row in expected]
    for side, lists in enumerate(neighbourhoods(graph, torch.from_numpy(pairs))):
        assert unpack(lists) == [row[side] for row in expected]


def test_no_pairs():
    pairs = torch.zeros(2, 0, dtype=torch.int64)
    for lists in (common_neighbours(GRAPH, pairs), *neighbourhoods(GRAPH, pairs)):
        assert unpack(lists) == []


def test_no_edges():
    graph = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), 3)
    pairs = torch.tensor([[0, 1], [1, 1]])
    for lists in (common_neighbours(graph, pairs), *neighbourhoods(graph, pairs)):
        assert unpack(lists) == [[], []]


@pytest.mark.parametrize("find", [common_neighbours, neighbourhoods])
@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (torch.tensor([[0], [7]]), "nodes are 0 to 6"),
        (torch.tensor([[-1], [0]]), "ids -1 to 0"),
        (torch.tensor([0, 1]), "shape"),
        (torch.zeros(2, 1), "float32"),
    ],
)
def test_bad_pairs(find, pairs, message):
    with pytest.raises(ValueError, match=message):
        find(GRAPH, pairs)


def test_hub_costs_its_partners_degree():
    """Common neighbours are looked for from the endpoint with fewer neighbours."""
    leaves = 2000
    star = torch.stack((torch.zeros(leaves, dtype=torch.int64), torch.arange(1, leaves + 1)))
    graph = Graph.from_edges(star, leaves + 1)
    queries = []

    class Counting(Graph):
        def find(self, pairs):
            queries.append(pairs.size(1))
            return super().find(pairs)

    pairs = torch.tensor([[0, 1, 2], [1, 0, 0]])
    with backend.plain():
        lists = common_neighbours(Counting(graph.rowptr, graph.col), pairs)
    assert unpack(lists) == [[], [], []]
    assert sum(queries) == 3


def test_hub_and_isolated_node_are_among_the_oracle_pairs():
    graph = Graph.from_edges(torch.from_numpy(random_edges(0)), NUM_NODES)
    assert graph.degree()[HUB] == graph.degree().max()
    assert graph.degree()[ISOLATED] == 0


def test_keep():
    lists = NeighbourLists(torch.tensor([0, 2, 2, 5]), torch.tensor([3, 4, 0, 1, 2]))
    kept = lists.keep(torch.tensor([False, False, True, False, True]))
    assert unpack(kept) == [[], [], [0, 2]]


@every_pair(
    form=["compiled", "plain"],
    dense=[True, False],
    order=["as they come", "grouped", "all of a hub"],
    seed=range(3),
    indirect=["form"],
)
def test_sum_over_common_neighbours(form, seed, order, dense, monkeypatch):
    monkeypatch.setattr("runner.ops.overlap._MANY", 0 if dense else 1e9)
    edges = random_edges(seed)
    dense = torch.from_numpy(adjacency(edges, NUM_NODES))
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    pairs = torch.from_numpy(some_pairs(edges))
    if order == "grouped":
        pairs = pairs[:, pairs[0].argsort(stable=True)]
    elif order == "all of a hub":
        pairs = torch.stack([torch.full((NUM_NODES,), HUB), torch.arange(NUM_NODES)])
    x, start = torch.randn(NUM_NODES, 5).double(), torch.randn(5).double()
    sums, counts = sum_over_common_neighbours(graph, pairs, x, start=start)
    shared = dense[pairs[0]] * dense[pairs[1]]
    assert counts.tolist() == shared.sum(1).long().tolist()
    torch.testing.assert_close(sums, shared @ x + start)
    none = sum_over_common_neighbours(graph, pairs[:, :0], x, start=start)
    assert none[0].shape == (0, 5)
    assert none[1].shape == (0,)
