import pytest
import torch

from runner.data.splits import RandomSplit, sample_non_links
from runner.data.whole_graph import WholeGraph
from runner.errors import RunnerError

NODES = 60


def splitter(seed=0, valid=0.1, test=0.2, valid_negatives=2.0, test_negatives=1.0):
    return RandomSplit(
        valid=valid,
        test=test,
        seed=seed,
        valid_negatives=valid_negatives,
        test_negatives=test_negatives,
    )


def cut(edges, num_nodes=NODES, seed=0, **kind):
    """Training links, validation and test."""
    parts = splitter(seed).split(WholeGraph.of(edges, num_nodes, **kind))
    return parts.train, parts.valid, parts.test


@pytest.fixture
def edges():
    """300 random rows with repeats, reversed copies and self-loops."""
    rows = torch.randint(NODES, (2, 250), generator=torch.Generator().manual_seed(1))
    return torch.cat([rows, rows[:, :25].flip(0), rows[:, 25:50]], dim=1)


def unordered(pairs):
    return {tuple(sorted(pair)) for pair in pairs.T.tolist()}


def test_parts_are_disjoint_and_cover_the_simple_graph(edges):
    train, valid, test = cut(edges)
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
    _, valid, test = cut(edges)
    assert valid.negative.shape[1] == 2 * valid.positive.shape[1]
    assert test.negative.shape[1] == test.positive.shape[1]
    negatives = torch.cat([valid.negative, test.negative], dim=1)
    assert len(unordered(negatives)) == negatives.shape[1]
    assert not unordered(negatives) & unordered(edges)
    assert (negatives[0] != negatives[1]).all()


def test_the_seed_decides(edges):
    one, same, other = (cut(edges, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one[0], same[0]) and torch.equal(one[1].negative, same[1].negative)
    assert not torch.equal(one[0], other[0])


def test_the_order_of_the_rows_does_not_matter(edges):
    shuffled = edges[:, torch.randperm(edges.shape[1])].flip(0)
    one, other = cut(edges), cut(shuffled)
    assert torch.equal(one[0], other[0]) and torch.equal(one[2].negative, other[2].negative)


def test_too_small_a_graph_names_the_counts():
    path = torch.tensor([[0, 1, 2], [1, 2, 3]])
    with pytest.raises(RunnerError, match="the graph has 3 edges, too few to split"):
        cut(path, 4)


def test_an_empty_graph():
    with pytest.raises(RunnerError, match="0 edges"):
        cut(torch.empty(2, 0, dtype=torch.int64), 4)


def test_too_dense_a_graph_names_the_counts():
    complete = torch.combinations(torch.arange(20)).T
    with pytest.raises(RunnerError, match="only 0 pairs without an edge"):
        cut(complete, 20)


def test_shares_must_leave_training_edges():
    with pytest.raises(RunnerError, match="leave no training edges"):
        splitter(valid=0.5, test=0.5)


def count_draws(whole, runs=2000):
    counts = torch.zeros(whole.num_nodes, whole.num_nodes)
    for seed in range(runs):
        u, v = sample_non_links(whole, 3, torch.Generator().manual_seed(seed))
        counts[u, v] += 1
    return counts


def are_even(drawn):
    return drawn.min() > 0.8 * drawn.mean() and drawn.max() < 1.2 * drawn.mean()


def test_non_links_are_uniform():
    """Every pair without a link of a small graph is drawn about equally often, no link ever."""
    whole = WholeGraph.of(torch.tensor([[0, 0, 1], [1, 2, 3]]), 7)
    counts = count_draws(whole)
    drawn = counts[counts > 0]
    assert drawn.numel() == 7 * 6 // 2 - 3
    assert counts[whole.graph.row, whole.graph.col].sum() == 0
    assert are_even(drawn)


def test_non_links_of_a_directed_graph_are_ordered():
    links = torch.tensor([[0, 1, 0], [1, 0, 2]])
    counts = count_draws(WholeGraph.of(links, 5, directed=True))
    assert (counts > 0).sum() == 5 * 4 - 3 and are_even(counts[counts > 0])
    assert counts[0, 1] == counts[1, 0] == counts[0, 2] == 0 < counts[2, 0]


def test_non_links_of_a_bipartite_graph_go_across():
    links = torch.tensor([[0, 1, 2], [3, 3, 6]])
    counts = count_draws(WholeGraph.of(links, 7, num_sources=3))
    assert (counts[:3, 3:] > 0).sum() == 3 * 4 - 3 and are_even(counts[counts > 0])
    assert counts[3:].sum() == counts[:, :3].sum() == 0
    assert counts[links[0], links[1]].sum() == 0


def test_both_directions_of_a_pair_stay_in_one_part(edges):
    rows = torch.cat([edges, edges[:, :100].flip(0)], dim=1)
    train, valid, test = cut(rows, directed=True)
    ordered = {pair for pair in map(tuple, rows.T.tolist()) if pair[0] != pair[1]}
    parts = [set(map(tuple, part.T.tolist())) for part in (train, valid.positive, test.positive)]
    assert set.union(*parts) == ordered and sum(map(len, parts)) == len(ordered)
    assert any((v, u) in parts[2] for u, v in parts[2])
    pairs = [unordered(part) for part in (train, valid.positive, test.positive)]
    assert not pairs[0] & pairs[1] | pairs[0] & pairs[2] | pairs[1] & pairs[2]


def test_a_bipartite_graph_of_few_pairs_names_the_counts():
    u, v = torch.cartesian_prod(torch.arange(5), torch.arange(5, 10)).T
    with pytest.raises(RunnerError, match="only 0 pairs without an edge"):
        cut(torch.stack([u, v]), 10, num_sources=5)
