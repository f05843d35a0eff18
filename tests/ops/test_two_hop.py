from __future__ import annotations

import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges, some_pairs
from tests.ops.test_overlap import GRAPH, unpack

from runner.ops import two_hop
from runner.ops.csr import Graph
from runner.ops.two_hop import reached_neighbours, two_hop_overlaps, within_two_steps


@pytest.mark.parametrize(
    ("pair", "of_u", "of_v"),
    [
        ((1, 2), [0, 2], [0, 1]),  # 2 is two steps from itself, and 0 from 2 by way of 1
        ((1, 3), [2], [0]),
        ((3, 5), [0], [4]),
        ((0, 6), [], []),
        ((6, 6), [], []),
        ((0, 0), [1, 2], [1, 2]),  # by way of each other; 3 and 4 are one step away only
        ((0, 4), [1, 2, 3, 4], [0, 5]),
    ],
)
def test_by_hand(pair, of_u, of_v):
    found = two_hop_overlaps(GRAPH, torch.tensor([pair]).T)
    assert [unpack(lists) for lists in found] == [[of_u], [of_v]]


def dense_overlaps(dense, pairs):
    square = dense @ dense
    nodes = range(len(dense))
    return (
        [[w for w in nodes if dense[u, w] and square[v, w]] for u, v in pairs.T],
        [[w for w in nodes if square[u, w] and dense[v, w]] for u, v in pairs.T],
    )


@pytest.mark.parametrize("seed", range(4))
def test_against_the_squared_matrix(seed):
    edges = random_edges(seed)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    pairs = some_pairs(edges)
    expected = dense_overlaps(adjacency(edges, NUM_NODES), pairs)
    found = two_hop_overlaps(graph, torch.from_numpy(pairs))
    assert tuple(unpack(lists) for lists in found) == expected


def test_directed_graph():
    """After edge dropout, walks follow the rows."""
    edges = random_edges(0)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    graph = graph.keep(torch.rand(graph.num_entries) < 0.6)
    dense = torch.zeros(NUM_NODES, NUM_NODES)
    dense[graph.row, graph.col] = 1
    pairs = some_pairs(edges)
    found = two_hop_overlaps(graph, torch.from_numpy(pairs))
    assert tuple(unpack(lists) for lists in found) == dense_overlaps(dense.numpy(), pairs)


@pytest.mark.parametrize(("cells", "walks"), [(1, 1), (3 * NUM_NODES, 10**6), (10**6, 40)])
def test_blocks_change_nothing(monkeypatch, cells, walks):
    edges = random_edges(1)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    pairs = torch.from_numpy(some_pairs(edges))
    whole = [unpack(lists) for lists in two_hop_overlaps(graph, pairs)]
    monkeypatch.setattr(two_hop, "_MOST_CELLS", cells)
    monkeypatch.setattr(two_hop, "_MOST_WALKS", walks)
    blocks = two_hop._blocks(graph, pairs.unique())
    assert len(blocks) > 1
    assert all(last - first <= max(1, cells // NUM_NODES) for first, last in blocks)
    assert [unpack(lists) for lists in two_hop_overlaps(graph, pairs)] == whole


def test_nothing_asked_and_nothing_there():
    none = torch.zeros(2, 0, dtype=torch.int64)
    assert [unpack(lists) for lists in two_hop_overlaps(GRAPH, none)] == [[], []]
    empty = Graph.from_edges(none, 3)
    pairs = torch.tensor([[0, 1], [1, 1]])
    assert [unpack(lists) for lists in two_hop_overlaps(empty, pairs)] == [[[], []], [[], []]]
    assert within_two_steps(empty, pairs[0], pairs[1]).tolist() == [False, False]


def test_bad_pairs():
    with pytest.raises(ValueError, match="nodes are 0 to 6"):
        two_hop_overlaps(GRAPH, torch.tensor([[0], [7]]))


@pytest.mark.parametrize("count", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_how_neighbours_are_reached(seed, count, form, two_threads):
    edges = random_edges(seed)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    pairs = torch.from_numpy(some_pairs(edges)).repeat(1, 40)
    dense = adjacency(edges, NUM_NODES)
    square = torch.from_numpy(dense @ dense).int()
    listed, shared, walks = reached_neighbours(graph, pairs, count=count)
    v = pairs[1, listed.target]
    assert unpack(listed) == [dense[u].nonzero()[0].tolist() for u in pairs[0].tolist()]
    assert torch.equal(shared, torch.from_numpy(dense)[v, listed.node] > 0)
    expected = square[v, listed.node]
    assert torch.equal(walks, expected if count else (expected > 0).int())
    assert [part.numel() for part in reached_neighbours(graph, pairs[:, :0], count=count)[1:]] == [
        0,
        0,
    ]


@pytest.mark.parametrize("count", [False, True])
def test_neighbours_of_hubs_are_searched(count):
    """A star's middle has many more neighbours than its leaves."""
    leaves = torch.arange(1, 400)
    edges = torch.cat([torch.stack([leaves * 0, leaves]), torch.tensor([[1, 1], [2, 3]])], dim=1)
    graph = Graph.from_edges(edges)
    listed, shared, walks = reached_neighbours(graph, torch.tensor([[1], [2]]), count=count)
    assert listed.node.tolist() == [0, 2, 3] and shared.tolist() == [True, False, False]
    assert walks.tolist() == ([1, 2, 2] if count else [1, 1, 1])
