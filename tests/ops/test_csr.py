from __future__ import annotations

import networkx
import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges, some_pairs

from runner.ops.csr import Graph

pytestmark = pytest.mark.usefixtures("form")

# A triangle 0 1 2 with a tail 2 3, an isolated node 4; given with a duplicate in either direction
# and a self-loop.
EDGES = torch.tensor([[1, 0, 2, 2, 3, 1, 3], [0, 1, 1, 0, 2, 0, 3]])


@pytest.fixture
def graph():
    return Graph.from_edges(EDGES, 5)


def test_by_hand(graph):
    assert graph.num_nodes == 5
    assert graph.num_entries == 8
    assert graph.rowptr.tolist() == [0, 2, 4, 7, 8, 8]
    assert graph.col.tolist() == [1, 2, 0, 2, 0, 1, 3, 2]
    assert graph.row.tolist() == [0, 0, 1, 1, 2, 2, 2, 3]
    assert graph.key.tolist() == [1, 2, 5, 7, 10, 11, 13, 17]
    assert graph.degree().tolist() == [2, 2, 3, 1, 0]
    assert {graph.rowptr.dtype, graph.row.dtype, graph.key.dtype} == {torch.int64}
    assert graph.col.dtype == torch.int32


@pytest.mark.parametrize("seed", range(3))
def test_against_a_dense_matrix(seed):
    edges = random_edges(seed)
    dense = adjacency(edges, NUM_NODES)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    found = np.zeros_like(dense)
    found[graph.row, graph.col] = 1
    assert np.array_equal(found, dense)
    assert graph.num_entries == dense.sum()
    assert bool((graph.key.diff() > 0).all())


@pytest.mark.parametrize("num_nodes", [0, 1, 3])
def test_no_edges(num_nodes):
    graph = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), num_nodes)
    assert graph.num_nodes == num_nodes
    assert graph.num_entries == 0
    assert graph.degree().tolist() == [0] * num_nodes
    pairs = torch.zeros(2, min(num_nodes, 1), dtype=torch.int64)
    assert graph.find(pairs).tolist() == [-1] * min(num_nodes, 1)
    assert graph.keep(torch.zeros(0, dtype=torch.bool)).num_nodes == num_nodes


def test_self_loops_alone():
    assert Graph.from_edges(torch.tensor([[0, 1], [0, 1]]), 2).num_entries == 0


def test_find_by_hand(graph):
    pairs = torch.tensor([[0, 0, 3, 2, 4, 4, 3], [1, 3, 2, 3, 4, 0, 3]])
    assert graph.find(pairs).tolist() == [0, -1, 7, 6, -1, -1, -1]
    assert graph.find(pairs[:, :0]).shape == (0,)


def test_find_every_pair():
    edges = random_edges(0)
    dense = adjacency(edges, NUM_NODES)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    pairs = torch.cartesian_prod(torch.arange(NUM_NODES), torch.arange(NUM_NODES)).T
    position = graph.find(pairs)
    assert np.array_equal(position.numpy() >= 0, dense.flatten() > 0)
    hit = position >= 0
    assert torch.equal(graph.row[position[hit]], pairs[0, hit])
    assert torch.equal(graph.col[position[hit]], pairs[1, hit])


def test_what_is_known_to_be_symmetric(graph):
    mask = torch.ones(graph.num_entries, dtype=torch.bool)
    assert graph.symmetric and graph.to("cpu").symmetric
    assert graph.keep(mask, symmetric=True).symmetric
    assert not graph.keep(mask).symmetric
    assert not graph.keep(mask).keep(mask, symmetric=True).symmetric


def test_matrix(graph):
    assert graph.matrix.size(1) % 16 == 0
    assert graph.matrix.nonzero().T.tolist() == [graph.row.tolist(), graph.col.tolist()]


def test_keep_by_hand(graph):
    mask = torch.tensor([1, 0, 1, 1, 0, 0, 0, 1], dtype=torch.bool)
    kept = graph.keep(mask)
    assert kept.num_nodes == 5
    assert kept.rowptr.tolist() == [0, 1, 3, 3, 4, 4]
    assert kept.col.tolist() == [1, 0, 2, 2]
    assert kept.row.tolist() == [0, 1, 1, 3]
    assert kept.key.tolist() == [1, 5, 7, 17]
    assert graph.num_entries == 8


def test_removing_target_links_both_ways():
    """What target-link removal does: drop found entries in both directions."""
    edges = random_edges(1)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    targets = torch.from_numpy(edges[:, :12].copy())
    mask = torch.ones(graph.num_entries, dtype=torch.bool)
    for pairs in (targets, targets.flip(0)):
        position = graph.find(pairs)
        mask[position[position >= 0]] = False
    dense = adjacency(edges, NUM_NODES)
    dense[edges[0, :12], edges[1, :12]] = dense[edges[1, :12], edges[0, :12]] = 0
    kept = graph.keep(mask)
    found = np.zeros_like(dense)
    found[kept.row, kept.col] = 1
    assert np.array_equal(found, dense)


def test_keep_refuses_another_mask(graph):
    with pytest.raises(ValueError, match=r"shape \(8,\)"):
        graph.keep(torch.ones(7, dtype=torch.bool))
    with pytest.raises(ValueError, match="bool"):
        graph.keep(torch.ones(8))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (torch.tensor([[0, -1], [1, 2]]), "ids -1 to 2"),
        (torch.tensor([[0, 1], [1, 5]]), "ids 0 to 5"),
        (torch.tensor([[5], [5]]), "ids 5 to 5"),
        (torch.tensor([0, 1]), "shape"),
        (torch.zeros(3, 2, dtype=torch.int64), "shape"),
        (torch.zeros(2, 2), "float32"),
        (torch.zeros(2, 2, dtype=torch.int32), "int32"),
    ],
)
def test_bad_edges(edges, message):
    with pytest.raises(ValueError, match=message):
        Graph.from_edges(edges, 5)


def test_to_moves_both_tensors(graph):
    moved = graph.to("meta")
    assert moved.rowptr.device.type == moved.col.device.type == "meta"


def test_order_and_direction_of_edges_do_not_matter():
    edges = torch.from_numpy(random_edges(2))
    graph = Graph.from_edges(edges, NUM_NODES)
    for other in (edges.flip(0), edges.flip(1), torch.cat((edges, edges), dim=1)):
        again = Graph.from_edges(other, NUM_NODES)
        assert torch.equal(graph.rowptr, again.rowptr)
        assert torch.equal(graph.col, again.col)


def test_pairs_helper_covers_edges():
    """The oracle's pairs hold edges, so that tests which use them see that corner."""
    edges = random_edges(0)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    found = graph.find(torch.from_numpy(some_pairs(edges))) >= 0
    assert bool(found.any())
    assert not bool(found.all())


def test_without_a_number_of_nodes_the_highest_id_is_the_last():
    assert Graph.from_edges(EDGES).num_nodes == 4
    assert Graph.from_edges(EDGES[:, :0]).num_nodes == 0
    with pytest.raises(ValueError, match="ids -1 to 2"):
        Graph.from_edges(torch.tensor([[-1], [2]]))


KINDS = (networkx.Graph, networkx.DiGraph, networkx.MultiGraph, networkx.MultiDiGraph)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_networkx_graph_has_its_nodes_in_their_order(graph, kind):
    names = [("pair", 1), "b", 7, 3.5, "alone"]
    given = kind()
    given.add_nodes_from(names)
    for u, v in EDGES.t().tolist():
        given.add_edge(names[u], names[v], weight=u + 0.5)
    found = Graph.from_networkx(given)
    assert list(given) == names
    assert found.symmetric and found.num_nodes == 5
    assert torch.equal(found.rowptr, graph.rowptr) and torch.equal(found.col, graph.col)
    assert Graph.from_networkx(kind()).num_nodes == 0


def test_a_pyg_graph(graph):
    from torch_geometric.data import Data, HeteroData

    found = Graph.from_pyg(Data(edge_index=EDGES, num_nodes=5, edge_attr=torch.rand(7)))
    assert torch.equal(found.rowptr, graph.rowptr) and torch.equal(found.col, graph.col)
    for other in (HeteroData(), Data(x=torch.rand(3, 1))):
        with pytest.raises(ValueError, match=f"{type(other).__name__} has no edge_index"):
            Graph.from_pyg(other)
