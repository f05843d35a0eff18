from __future__ import annotations

import networkx
import pytest
import torch

from runner.ops.csr import Graph
from runner.training.communities import facts_of, louvain, strengths, to_networkx

# Two triangles and an edge between them; with a third community that hangs on the first.
TWO = torch.tensor([[0, 1, 0, 3, 4, 3, 2], [1, 2, 2, 4, 5, 5, 3]])
THREE = torch.cat([TWO, torch.tensor([[0, 6], [6, 7]])], dim=1)


def test_two_triangles_are_as_strong_as_each_other():
    graph = Graph.from_edges(TWO, 6)
    found = louvain(graph, 0)
    assert found.tolist() in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
    assert strengths(graph, found).tolist() == pytest.approx([5 / 28, 5 / 28])


def test_strengths_add_up_to_the_modularity():
    graph, community = Graph.from_edges(THREE, 8), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    found = strengths(graph, community)
    assert found.tolist() == pytest.approx([0.135802, 0.182099, 0.083333], abs=1e-6)
    sets = [{0, 1, 2}, {3, 4, 5}, {6, 7}]
    expected = networkx.community.modularity(to_networkx(graph), sets)
    assert float(found.sum()) == pytest.approx(expected)


def test_nodes_without_links_are_communities_of_their_own():
    graph = Graph.from_edges(TWO, 8)
    found = louvain(graph, 0)
    assert facts_of(graph, found) == {
        "communities": 4, "single_nodes": 2, "modularity": pytest.approx(10 / 28, abs=1e-6)
    }  # fmt: skip
    nothing = Graph.from_edges(TWO[:, :0], 3)
    assert sorted(louvain(nothing, 0).tolist()) == [0, 1, 2]
    assert strengths(nothing, torch.arange(3)).tolist() == [0, 0, 0]
