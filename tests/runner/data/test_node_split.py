from collections import Counter

import pytest
import torch

from runner.data.node_split import NewNodes
from runner.data.whole_graph import WholeGraph, split_data
from runner.errors import RunnerError

NODES = 60


def splitter(**changed):
    return NewNodes(
        **{
            "valid": 0.1, "test": 0.2, "support": 3, "seed": 0, "valid_negatives": 2.0,
            "test_negatives": 1.0, **changed,
        }
    )  # fmt: skip


@pytest.fixture
def edges():
    """Some 270 rows with repeats, reversed copies, self-loops and leaves; 3 nodes have no link."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(NODES - 13, (2, 220), generator=generator)
    leaves = torch.stack([torch.arange(NODES - 13, NODES - 3), torch.arange(10)])
    return torch.cat([rows, rows[:, :25].flip(0), rows[:, 25:50], leaves], dim=1)


def pairs(part):
    return set(map(tuple, part.T.tolist()))


def kinds(name, edges):
    """The graph of one of the three kinds."""
    if name == "bipartite":
        across = torch.stack([edges[0] % 25, 25 + edges[1] % (NODES - 25)])
        return WholeGraph.of(across, NODES, num_sources=25)
    return WholeGraph.of(edges, NODES, directed=name == "directed")


KINDS = ["undirected", "directed", "bipartite"]


def held_out(whole):
    """The nodes that the splitter holds out for validation and for the test."""
    part_of, _ = splitter()._hold_out(whole, torch.Generator().manual_seed(0))
    return [set((part_of == part).nonzero().flatten().tolist()) for part in (1, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_all_links_of_a_held_out_node_leave_training(kind, edges):
    whole = kinds(kind, edges)
    split = splitter().split(whole)
    parts = [
        split.train, split.valid.positive, split.valid_support, split.test.positive,
        split.test_support,
    ]  # fmt: skip
    assert sum(part.shape[1] for part in parts) == whole.links.shape[1]
    assert set.union(*map(pairs, parts)) == pairs(whole.links)
    nodes = int((whole.graph.degree() > 0).sum())
    of_valid, of_test = held_out(whole)
    assert len(of_valid) == int(0.1 * nodes) and len(of_test) == int(0.2 * nodes)
    assert split.facts["held-out nodes"] == {"validation": len(of_valid), "test": len(of_test)}
    assert not any((of_valid | of_test) & set(pair) for pair in pairs(split.train))
    for part in (split.valid.positive, split.valid_support):
        assert all(of_valid & set(pair) and not of_test & set(pair) for pair in pairs(part))
    for part in (split.test.positive, split.test_support):
        assert all(of_test & set(pair) for pair in pairs(part))


@pytest.mark.parametrize("kind", KINDS)
def test_each_held_out_node_has_its_support(kind, edges):
    """Three links or all; a link is support where one of its new ends needs it."""
    whole = kinds(kind, edges)
    split = splitter().split(whole)
    of_valid, of_test = held_out(whole)
    unscored = 0
    for nodes, support, scored in (
        (of_valid, split.valid_support, split.valid.positive),
        (of_test, split.test_support, split.test.positive),
    ):
        neighbours = {"support": Counter(), "scored": Counter()}
        for name, part in (("support", support), ("scored", scored)):
            for pair in {tuple(sorted(pair)) for pair in pairs(part)}:
                neighbours[name].update(pair)
        for node in nodes:
            has, asked = neighbours["support"][node], neighbours["scored"][node]
            assert has >= 3 or asked == 0
            unscored += asked == 0
        one_new_end = [n for n in nodes if all(len(nodes & set(p)) == 1
                       for part in (support, scored) for p in pairs(part) if n in p)]  # fmt: skip
        assert all(neighbours["support"][n] <= 3 for n in one_new_end)
    assert split.facts["held-out nodes without a scored link"] == unscored
    assert not unscored or f"{unscored} held-out nodes have too few links" in split.notes[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_negatives_have_a_held_out_node_of_their_part(kind, edges):
    whole = kinds(kind, edges)
    split = splitter().split(whole)
    of_valid, of_test = held_out(whole)
    for part, nodes, times in ((split.valid, of_valid, 2), (split.test, of_test, 1)):
        found = pairs(part.negative)
        assert len(found) == part.negative.shape[1] == times * part.positive.shape[1]
        assert not whole.has(part.negative).any()
        assert all(nodes & set(pair) for pair in found)
        assert all(u != v for u, v in found)
        if kind == "bipartite":
            assert all(u < 25 <= v for u, v in found)
        elif kind == "undirected":
            assert all(u < v for u, v in found)
        else:
            assert any(u > v for u, v in found)
    assert all(not of_test & set(pair) for pair in pairs(split.valid.negative))


@pytest.mark.parametrize("kind", KINDS)
def test_negatives_are_uniform(kind):
    """Each pair that may be drawn is drawn about equally often; nodes held out are always these."""
    links = torch.tensor(
        [[0, 0, 1, 2, 3, 3, 4, 1, 2, 0, 1, 2], [6, 7, 7, 8, 8, 9, 9, 6, 6, 9, 10, 11]]
    )
    sources = 6 if kind == "bipartite" else None
    whole = WholeGraph.of(links, 12, directed=kind == "directed", num_sources=sources)
    counts: Counter = Counter()
    for seed in range(3000):
        split = _with_nodes(whole, {0, 7}, {1, 8}, seed)
        counts.update(pairs(split.test.negative))
    allowed = {
        (u, v) for u in range(12) for v in range(12)
        if u != v and {u, v} & {1, 8} and not whole.has(torch.tensor([[u], [v]]))
        and (kind == "directed" or u < v) and (sources is None or u < 6 <= v)
    }  # fmt: skip
    assert set(counts) == allowed
    mean = sum(counts.values()) / len(allowed)
    assert all(0.75 * mean < count < 1.25 * mean for count in counts.values())


def _with_nodes(whole, valid, test, seed):
    """The split with these nodes held out."""

    class Fixed(NewNodes):
        def _hold_out(self, whole, generator):
            part_of = torch.zeros(whole.num_nodes, dtype=torch.int64)
            part_of[list(valid)], part_of[list(test)] = 1, 2
            return part_of, {1: len(valid), 2: len(test)}

    return Fixed(
        valid=0.1, test=0.2, support=1, seed=seed, valid_negatives=1.0, test_negatives=1.0
    ).split(whole)


def test_a_link_between_validation_and_test_belongs_to_the_test():
    star = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 2, 2], [1, 2, 3, 4, 3, 4, 2, 3, 4]])
    whole = WholeGraph.of(torch.cat([star, star + 5, star + 10], dim=1), 15)
    for seed in range(20):
        split = _with_nodes(whole, {0}, {1}, seed)
        assert (0, 1) in pairs(split.test.positive) | pairs(split.test_support)
        assert all(0 in pair for pair in pairs(split.valid.positive) | pairs(split.valid_support))


def test_the_seed_decides_and_the_order_of_the_rows_does_not(edges):
    shuffled = edges[:, torch.randperm(edges.shape[1])].flip(0)
    one, same, other = (
        splitter(seed=seed).split(WholeGraph.of(rows, NODES))
        for seed, rows in ((0, edges), (0, shuffled), (1, edges))
    )
    for name in ("train", "valid_support", "test_support"):
        assert torch.equal(getattr(one, name), getattr(same, name))
    assert torch.equal(one.test.negative, same.test.negative)
    assert not torch.equal(one.train, other.train)


def test_the_new_nodes_of_the_data_are_those_without_training(edges):
    whole = WholeGraph.of(edges, NODES)
    data = split_data(whole, splitter(), features=None)
    train = set(data.train.flatten().tolist())
    linked = set(whole.links.flatten().tolist())
    assert set(data.new_nodes.tolist()) == linked - train >= set.union(*held_out(whole))


PATH = torch.stack([torch.arange(40), torch.arange(1, 41)])


@pytest.mark.parametrize(
    ("edges", "changed", "message"),
    [
        (PATH, {}, "support=3: none of the 4 nodes held out for the validation has more links"),
        (PATH[:, :4], {}, "the graph has 5 nodes with links, too few to hold out"),
        (PATH[:, :0], {}, "the graph has 0 nodes with links"),
        (torch.combinations(torch.arange(41)).T, {}, "4 validation nodes leave only 0 pairs"),
        (
            torch.stack([torch.zeros(40, dtype=torch.int64), torch.arange(1, 41)]),
            {"valid": 0.45, "test": 0.54, "seed": 1, "support": 1},
            "none is left to train with|none of the",
        ),
    ],
)
def test_graphs_that_cannot_be_split_so(edges, changed, message):
    with pytest.raises(RunnerError, match=message):
        splitter(**changed).split(WholeGraph.of(edges, 41))


def test_shares_must_leave_nodes():
    with pytest.raises(RunnerError, match="leave no nodes to train with"):
        splitter(valid=0.5, test=0.5)
