from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges, seal_subgraph, some_pairs

from runner.ops import backend
from runner.ops.csr import Graph
from runner.ops.enclosing_subgraphs import enclosing_subgraphs
from runner.ops.receptive_field import receptive_field


def parts(found):
    return found.rowptr, found.node, found.label, found.graph.rowptr, found.graph.col


@pytest.fixture
def sparse():
    """A random graph with distances of several steps, and pairs of all kinds."""
    edges = np.array(nx.gnm_random_graph(NUM_NODES, 28, seed=1).edges).T
    return edges, torch.from_numpy(some_pairs(edges))


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_nodes_links_and_labels_are_those_of_plain_searches(form, sparse, hops):
    edges, pairs = sparse
    graph, a = Graph.from_edges(torch.from_numpy(edges), NUM_NODES), adjacency(edges, NUM_NODES)
    found = enclosing_subgraphs(graph, pairs, hops=hops)
    assert found.graph.symmetric and int(found.label.max()) > hops
    dense = adjacency(np.stack([found.graph.row, found.graph.col]), len(found.node))
    assert dense.sum() == found.graph.num_entries
    for b, (u, v) in enumerate(pairs.T.tolist()):
        nodes, inside, labels = seal_subgraph(a, u, v, hops)
        rows = slice(int(found.rowptr[b]), int(found.rowptr[b + 1]))
        assert found.node[rows].tolist() == nodes
        assert found.label[rows].tolist() == labels
        np.testing.assert_array_equal(dense[rows, rows], inside)
        dense[rows, rows] = 0
    assert not dense.any()


def test_labels_of_a_path(form):
    """Of nodes at (a, b) steps: (1, 1) is 2, (1, 2) 3, (1, 3) 4, (2, 2) 5."""
    graph = Graph.from_networkx(nx.cycle_graph(4))
    found = enclosing_subgraphs(graph, torch.tensor([[0], [2]]), hops=1)
    assert found.label.tolist() == [1, 2, 1, 2]
    found = enclosing_subgraphs(graph, torch.tensor([[0], [1]]), hops=1)
    assert found.label.tolist() == [1, 1, 3, 3]
    assert found.graph.num_entries == 6  # the link of the pair is gone
    path = Graph.from_networkx(nx.path_graph(5))
    found = enclosing_subgraphs(path, torch.tensor([[0], [4]]), hops=3)
    assert found.label.tolist() == [1, 4, 5, 4, 1]
    found = enclosing_subgraphs(path, torch.tensor([[0], [1]]), hops=1)
    assert found.label.tolist() == [1, 1, 0]


@pytest.mark.parametrize("limits", [{"ratio": 0.5}, {"most": 2}, {"ratio": 0.7, "most": 3}])
def test_both_forms_leave_out_the_same_nodes(two_threads, limits):
    edges = torch.from_numpy(random_edges(0))
    graph, pairs = Graph.from_edges(edges, NUM_NODES), torch.from_numpy(some_pairs(edges.numpy()))
    pairs = pairs.repeat(1, 30)
    found = enclosing_subgraphs(graph, pairs, hops=2, seed=3, **limits)
    with backend.plain():
        expected = enclosing_subgraphs(graph, pairs, hops=2, seed=3, **limits)
    assert all(torch.equal(a, b) for a, b in zip(parts(found), parts(expected), strict=True))
    whole = enclosing_subgraphs(graph, pairs, hops=2)
    assert found.node.numel() < whole.node.numel()
    other = enclosing_subgraphs(graph, pairs, hops=2, seed=4, **limits)
    assert not torch.equal(other.node, found.node)


def test_how_many_stay_of_a_hop(form):
    graph = Graph.from_networkx(nx.star_graph(10))
    pairs = torch.tensor([[0, 0], [1, 1]])
    for limits, stay in (({"ratio": 0.5}, 4), ({"most": 3}, 3), ({"ratio": 0.1}, 0)):
        found = enclosing_subgraphs(graph, pairs, hops=1, **limits)
        assert found.rowptr.tolist() == [0, 2 + stay, 4 + 2 * stay]


def test_what_stays_depends_on_the_pair_alone(form):
    """In other company, turned round, and with local numbers."""
    edges = torch.from_numpy(random_edges(1))
    graph, pairs = Graph.from_edges(edges, NUM_NODES), torch.from_numpy(some_pairs(edges.numpy()))
    limits = {"hops": 2, "most": 2}
    whole = enclosing_subgraphs(graph, pairs, **limits)
    for b, pair in enumerate(pairs.split(1, dim=1)):
        expected = whole.node[whole.rowptr[b] : whole.rowptr[b + 1]]
        for one in (pair, pair.flip(0)):
            assert torch.equal(enclosing_subgraphs(graph, one, **limits).node, expected)
        field = receptive_field(graph, pair, reach=2, layers=0)
        local = enclosing_subgraphs(field.graph, field.local(pair), ids=field.nodes, **limits)
        assert torch.equal(field.nodes[local.node], expected)


def test_pairs_outside_are_refused(form):
    graph = Graph.from_networkx(nx.path_graph(3))
    with pytest.raises(ValueError, match="ids"):
        enclosing_subgraphs(graph, torch.tensor([[0], [3]]), hops=1)
    assert (
        enclosing_subgraphs(graph, torch.zeros(2, 0, dtype=torch.int64), hops=1).rowptr.numel() == 1
    )
