import pytest
import torch

from runner.data.splits import RandomSplit, sample_non_edges
from runner.errors import RunnerError
from runner.ops.csr import Graph

NODES = 60


def splitter(seed=0, valid=0.1, test=0.2, valid_negatives=2.0, test_negatives=1.0):
    return RandomSplit(
        valid=valid,
        test=test,
        seed=seed,
        valid_negatives=valid_negatives,
        test_negatives=test_negatives,
    )


@pytest.fixture
def edges():
    """300 random rows with repeats, reversed copies and self-loops."""
    rows = torch.randint(NODES, (2, 250), generator=torch.Generator().manual_seed(1))
    return torch.cat([rows, rows[:, :25].flip(0), rows[:, 25:50]], dim=1)


def unordered(pairs):
    return {tuple(sorted(pair)) for pair in pairs.T.tolist()}


def test_parts_are_disjoint_and_cover_the_simple_graph(edges):
    train, valid, test = splitter().split(edges, NODES)
    whole = {pair for pair in unordered(edges) if pair[0] != pair[1]}
    parts = [unordered(train), unordered(valid.positive), unordered(test.positive)]
    assert set.union(*parts) == whole
    assert (
        sum(map(len, parts))
        == len(whole)
        == train.shape[1] + sum(part.positive.shape[1] for part in (valid, test))
    )
    assert valid.positive.shape[1] == int(0.1 * len(whole))
    assert test.positive.shape[1] == int(0.2 * len(whole))


def test_negatives_are_distinct_non_edges_in_the_release_numbers(edges):
    _, valid, test = splitter().split(edges, NODES)
    assert valid.negative.shape[1] == 2 * valid.positive.shape[1]
    assert test.negative.shape[1] == test.positive.shape[1]
    negatives = torch.cat([valid.negative, test.negative], dim=1)
    assert len(unordered(negatives)) == negatives.shape[1]
    assert not unordered(negatives) & unordered(edges)
    assert (negatives[0] != negatives[1]).all()


def test_the_seed_decides(edges):
    one, same, other = (splitter(seed).split(edges, NODES) for seed in (0, 0, 1))
    assert torch.equal(one[0], same[0]) and torch.equal(one[1].negative, same[1].negative)
    assert not torch.equal(one[0], other[0])


def test_the_order_of_the_rows_does_not_matter(edges):
    shuffled = edges[:, torch.randperm(edges.shape[1])].flip(0)
    one, other = splitter().split(edges, NODES), splitter().split(shuffled, NODES)
    assert torch.equal(one[0], other[0]) and torch.equal(one[2].negative, other[2].negative)


def test_too_small_a_graph_names_the_counts():
    path = torch.tensor([[0, 1, 2], [1, 2, 3]])
    with pytest.raises(RunnerError, match="the graph has 3 edges, too few to split"):
        splitter().split(path, 4)


def test_an_empty_graph():
    with pytest.raises(RunnerError, match="0 edges"):
        splitter().split(torch.empty(2, 0, dtype=torch.int64), 4)


def test_too_dense_a_graph_names_the_counts():
    complete = torch.combinations(torch.arange(20)).T
    with pytest.raises(RunnerError, match="only 0 pairs without an edge"):
        splitter().split(complete, 20)


def test_shares_must_leave_training_edges():
    with pytest.raises(RunnerError, match="leave no training edges"):
        splitter(valid=0.5, test=0.5)


def test_non_edges_are_uniform():
    """Every non-edge of a small graph is drawn about equally often, and no edge ever."""
    graph = Graph.from_edges(torch.tensor([[0, 0, 1], [1, 2, 3]]), 7)
    counts = torch.zeros(7, 7)
    for seed in range(2000):
        u, v = sample_non_edges(graph, 3, torch.Generator().manual_seed(seed))
        counts[u, v] += 1
    drawn = counts[counts > 0]
    assert drawn.numel() == 7 * 6 // 2 - 3
    assert counts[graph.row, graph.col].sum() == 0
    assert drawn.min() > 0.8 * drawn.mean() and drawn.max() < 1.2 * drawn.mean()
