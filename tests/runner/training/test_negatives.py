import pytest
import torch

from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.training.negatives import AmongNodes, RandomTargets, UniformNonEdges, UniformPairs


@pytest.fixture
def graph():
    edges = torch.randint(12, (2, 25), generator=torch.Generator().manual_seed(0))
    return Graph.from_edges(edges, 12)


def test_non_edges_are_uniform_over_ordered_pairs(graph):
    positives = torch.zeros(2, 40_000, dtype=torch.int64)
    u, v = UniformNonEdges().epoch(graph, positives, torch.Generator().manual_seed(0))
    assert u.shape == v.shape == (40_000,)
    counts = torch.zeros(12, 12).index_put((u, v), torch.ones(u.numel()), accumulate=True)
    assert counts[graph.row, graph.col].sum() == 0 and counts.diagonal().sum() == 0
    drawn = counts[counts > 0]
    assert drawn.numel() == 12 * 11 - graph.num_entries
    assert drawn.min() > 0.75 * drawn.mean() and drawn.max() < 1.25 * drawn.mean()


def test_a_graph_without_room_is_refused():
    complete = Graph.from_edges(torch.combinations(torch.arange(9)).T, 9)
    with pytest.raises(RunnerError, match="36 edges on 9 nodes"):
        UniformNonEdges().epoch(complete, torch.zeros(2, 3, dtype=torch.int64), torch.Generator())


def test_random_targets_keep_the_source(graph):
    positives = torch.randint(12, (2, 5000))
    drawn = RandomTargets().epoch(graph, positives, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[0], positives[0])
    assert drawn[1].bincount(minlength=12).min() > 300


@pytest.mark.parametrize("kind", [UniformNonEdges, UniformPairs, RandomTargets])
def test_of_a_bipartite_graph_all_pairs_go_across(kind):
    graph = Graph.from_edges(torch.tensor([[0, 1, 1], [4, 4, 5]]), 9)
    sampler = kind()
    sampler.num_sources = 4
    positives = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]]).repeat(1, 200)
    u, v = sampler.epoch(graph, positives, torch.Generator().manual_seed(0))
    assert set(u.tolist()) == {0, 1, 2, 3} and set(v.tolist()) == {4, 5, 6, 7, 8}


@pytest.mark.parametrize("kind", [UniformNonEdges, RandomTargets])
def test_the_generator_decides(kind, graph):
    positives = torch.randint(12, (2, 50))
    one, same, other = (
        kind().epoch(graph, positives, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("kind", [UniformNonEdges, UniformPairs, RandomTargets])
@pytest.mark.parametrize("sources", [None, 8])
def test_negatives_among_some_nodes(graph, kind, sources):
    """As if the others were no nodes: renumbered, the same draws of the same generator."""
    edges = torch.stack([graph.row, graph.col.long()])
    if sources is not None:
        edges = torch.stack([edges[0] % 8, 8 + edges[1] % 4])
    nodes = torch.tensor([0, 1, 2, 5, 6, 8, 9, 11])
    edges = edges[:, torch.isin(edges, nodes).all(0)]
    whole = Graph.from_edges(edges, 12)
    small = Graph.from_edges(torch.searchsorted(nodes, edges), len(nodes))
    positives = edges[:, torch.arange(200) % edges.shape[1]]
    reference, inner = kind(per_positive=2), kind(per_positive=2)
    if sources is not None:
        reference.num_sources, inner.num_sources = 5, sources
    drawn = AmongNodes(inner, nodes).epoch(whole, positives, torch.Generator().manual_seed(3))
    expected = reference.epoch(
        small, torch.searchsorted(nodes, positives), torch.Generator().manual_seed(3)
    )
    assert drawn.shape == (2, 200, 2) and torch.equal(drawn, nodes[expected])


@pytest.mark.parametrize("kind", [UniformNonEdges, UniformPairs, RandomTargets])
def test_negatives_that_are_drawn_once(graph, kind):
    """In every epoch, and after a resume: in between the generator may have moved anywhere."""
    positives = torch.stack([graph.row, graph.col.long()])
    generator = torch.Generator().manual_seed(5)
    once = kind(per_positive=3, redraw=False)
    first = once.epoch(graph, positives, generator)
    again = once.epoch(graph, positives, generator)
    resumed = torch.Generator()
    torch.rand(9, generator=generator)
    resumed.set_state(generator.get_state())
    assert torch.equal(first, again)
    assert torch.equal(first, once.epoch(graph, positives, resumed))
    assert torch.equal(
        first, kind(per_positive=3).epoch(graph, positives, generator.manual_seed(5))
    )
    other = once.epoch(graph, positives, torch.Generator().manual_seed(6))
    assert not torch.equal(first, other)
