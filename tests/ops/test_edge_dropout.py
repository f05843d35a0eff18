from __future__ import annotations

import pytest
import torch

from runner.ops.csr import Graph
from runner.ops.edge_dropout import drop_entries


@pytest.fixture
def graph():
    return Graph.from_edges(torch.combinations(torch.arange(80)).T, 80)


def test_no_dropout_is_the_same_graph(graph):
    before = torch.get_rng_state()
    assert drop_entries(graph, 0.0) is graph
    assert torch.equal(before, torch.get_rng_state())


def test_share_of_directed_entries(graph):
    torch.manual_seed(0)
    dropped = drop_entries(graph, 0.3)
    assert dropped.num_nodes == 80
    assert bool((graph.find(torch.stack((dropped.row, dropped.col))) >= 0).all())
    # 6320 entries: the standard deviation of the share is 0.006.
    assert dropped.num_entries / graph.num_entries == pytest.approx(0.7, abs=0.03)
    # Drawn once a direction: an entry's reverse survives as often as any other.
    reverse = dropped.find(torch.stack((dropped.col, dropped.row))) >= 0
    assert reverse.float().mean().item() == pytest.approx(0.7, abs=0.03)


def test_draws_from_the_default_generator(graph):
    torch.manual_seed(1)
    first, second = drop_entries(graph, 0.5), drop_entries(graph, 0.5)
    torch.manual_seed(1)
    assert torch.equal(first.key, drop_entries(graph, 0.5).key)
    assert not torch.equal(first.key, second.key)


def test_no_entries():
    empty = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), 3)
    assert drop_entries(empty, 0.5).num_entries == 0


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0, float("nan")])
def test_bad_rate(graph, p):
    with pytest.raises(ValueError, match="p must be in"):
        drop_entries(graph, p)
