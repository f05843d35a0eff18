"""Hard negatives, against ranks of dense scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.ops.test_pagerank import exact

from runner.data import hard_negatives
from runner.data.hard_negatives import HardNegatives
from runner.data.splits import RandomSplit
from runner.data.whole_graph import WholeGraph, split_data
from runner.errors import RunnerError
from runner.ops.csr import Graph

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)


def dataset(*, nodes=60, links=240, features=None, **kind):
    generator = torch.Generator().manual_seed(1)
    edges = torch.randint(nodes - 6, (2, links), generator=generator)  # the last six have none
    if "num_sources" in kind:
        edges = torch.stack([edges[0] % 20, 20 + edges[1] % (nodes - 20)])
    return split_data(WholeGraph.of(edges, nodes, **kind), SPLIT, features=features)


def drawn(data, **arguments):
    graph = Graph.from_edges(data.train, data.num_nodes)
    negatives = HardNegatives(**{"per_positive": 12, "seed": 0, "epsilon": 1e-9, **arguments})
    return negatives.draw(data, graph, graph)


def dense(data) -> np.ndarray:
    a = np.zeros((data.num_nodes, data.num_nodes))
    u, v = data.train.numpy()
    a[u, v] = a[v, u] = 1
    return a * (1 - np.eye(len(a)))


def best_ranks(data, features) -> np.ndarray:
    """(N, N): the best rank of each node among those not linked to the row's; inf for none."""
    a = dense(data)
    allocation = a @ np.diag(1 / np.maximum(a.sum(1), 1)) @ a
    scores = [allocation, exact(a, 0.85)]
    if features is not None:
        x = features.numpy()
        scores.append(x @ x.T / np.outer(*[np.linalg.norm(x, axis=1)] * 2))
    known = np.eye(data.num_nodes, dtype=bool)
    u, v = torch.cat(list(data.links.values()), dim=1).numpy()
    known[u, v] = known[v, u] = True
    best = np.full(a.shape, np.inf)
    for score in scores:
        rounded = np.vectorize(lambda x: float(f"{x:.5g}"), otypes=[float])(score)
        score = np.where(known | (score < 1e-12), -1, rounded)
        above = (score[:, None, :] > score[:, :, None]).sum(2) + 1
        best = np.where(score > 0, np.minimum(best, above), best)
    return best


@pytest.mark.parametrize("with_features", [False, True])
def test_they_are_the_nodes_of_the_best_ranks(with_features):
    features = torch.randn(60, 5, generator=torch.Generator().manual_seed(2))
    data = dataset(features=features if with_features else None)
    found, ranks = drawn(data), best_ranks(data, features if with_features else None)
    for part in (found.valid, found.test):
        assert part.negative.shape == (2, part.positive.shape[1], 12)
        pairs = zip(part.positive.T.tolist(), part.negative.permute(1, 0, 2), strict=True)
        for (u, v), negative in pairs:
            keeps_u, keeps_v = negative[:, :6], negative[:, 6:]
            assert (keeps_u[0] == u).all() and (keeps_v[1] == v).all()
            for node, partners in ((u, keeps_u[1].numpy()), (v, keeps_v[0].numpy())):
                assert len(set(partners.tolist())) == 6
                expected = np.sort(ranks[node])[:6]
                assert (np.sort(ranks[node][partners]) == expected).all()


def test_no_negative_is_a_link_and_those_of_the_split_are_gone():
    data = dataset()
    found = drawn(data)
    keys = {tuple(sorted(p)) for part in data.links.values() for p in part.T.tolist()}
    for part in (found.valid, found.test):
        pairs = part.negative.reshape(2, -1)
        assert not keys & {tuple(sorted(p)) for p in pairs.T.tolist()}
        assert bool((pairs[0] != pairs[1]).all())
    assert found.fingerprint != data.fingerprint
    assert found.graph_fingerprint == data.graph_fingerprint
    assert torch.equal(found.test.positive, data.test.positive)


@pytest.mark.parametrize("features", [None, torch.eye(40)], ids=["none", "nothing in common"])
def test_what_no_heuristic_knows_is_filled_by_chance(features):
    data = dataset(nodes=40, links=16, features=features)
    found = drawn(data, per_positive=40)
    assert found.facts["hard negatives"]["ranked"]["test"] < 0.7
    for half in found.test.negative[1][:, :20].tolist():
        assert len(set(half)) == 20


def test_of_equal_ranks_every_node_is_as_likely():
    nodes, chance = np.arange(10), np.random.default_rng(0)
    # Equal but for rounding.
    scores = 0.3 + 1e-12 * nodes
    chosen = [
        hard_negatives._pick_hardest([(nodes, scores)], np.ones(10, bool), 3, chance)
        for _ in range(1000)
    ]
    counts = np.bincount(np.concatenate(chosen), minlength=10)
    assert counts.min() > 240 and counts.max() < 360


def test_the_seed_decides():
    data = dataset(nodes=40, links=16)
    one, same, other = (drawn(data, seed=seed).test.negative for seed in (3, 3, 4))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_directed_link_is_no_negative_but_its_return_may_be():
    data = dataset(nodes=24, links=60, directed=True)
    found = drawn(data, per_positive=30)
    links = {tuple(p) for part in data.links.values() for p in part.T.tolist()}
    pairs = {tuple(p) for p in found.test.negative.reshape(2, -1).T.tolist()}
    assert not links & pairs
    assert {(v, u) for u, v in links} & pairs


def test_in_a_bipartite_graph_a_source_is_ranked_against_sources():
    data = dataset(num_sources=20)
    found = drawn(data)
    source, target = found.test.negative
    assert int(source.max()) < 20 <= int(target.min())


def test_too_few_nodes_are_refused_with_the_number_that_works():
    data = dataset()
    with pytest.raises(RunnerError, match="give at most") as error:
        drawn(data, per_positive=110)
    most = int(str(error.value).rsplit(" ", 1)[1])
    assert drawn(data, per_positive=most).test.negative.shape[2] == most
    with pytest.raises(RunnerError, match="give at most"):
        drawn(data, per_positive=most + 2)


def test_features_that_are_not_there_are_refused():
    with pytest.raises(RunnerError, match=r"protocol\.negatives\.features=true"):
        drawn(dataset(), features=True)
    with pytest.raises(ValueError, match="even"):
        HardNegatives(per_positive=5, seed=0)


def test_more_pairs_than_memory_has_are_refused(monkeypatch):
    data = dataset()
    links = max(part.positive.shape[1] for part in (data.valid, data.test))
    monkeypatch.setattr(hard_negatives, "_MOST_PAIRS", 10 * links + 1)
    with pytest.raises(RunnerError, match=r"give at most 10$"):
        drawn(data)
    assert drawn(data, per_positive=10).test.negative.shape[2] == 10
