from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.dense_reference import adjacency

from runner.ops.csr import Graph
from runner.prediction import nearest_pairs as nearest
from runner.prediction import two_hop_pairs as two_hop
from runner.prediction.all_pairs import AllPairs
from runner.prediction.candidates import find_candidates

N, SOURCES = 30, 12
EVERY = torch.arange(N)


def edges(*, bipartite=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if bipartite:
        u = torch.randint(SOURCES, (50,), generator=generator)
        return torch.stack([u, torch.randint(SOURCES, N, (50,), generator=generator)])
    pairs = torch.randint(N - 2, (2, 60), generator=generator)  # two nodes have no link
    return pairs[:, pairs[0] != pairs[1]]


def by_node(blocks):
    found = torch.cat(list(blocks), dim=1).T.tolist()
    assert len({tuple(pair) for pair in found}) == len(found)
    return {u: [w for v, w in found if v == u] for u in range(N)}


def adamic_adar(a):
    degree = a.sum(0)
    weight = np.array([1 / math.log(max(2, d)) for d in degree])
    return a @ np.diag(weight) @ a


@pytest.fixture(params=["one block", "a block for each node"])
def blocks(request, monkeypatch):
    if request.param != "one block":
        monkeypatch.setattr(two_hop, "_BLOCK_WALKS", 1)
        monkeypatch.setattr(nearest, "_CELLS", 1)


@pytest.mark.parametrize("count", [1, 3, N])
def test_two_hops_are_those_of_highest_adamic_adar(blocks, count):
    a = adjacency(edges().numpy(), N)
    value, partners = adamic_adar(a), torch.arange(N) < 20
    found = by_node(
        two_hop.two_hop_pairs(Graph.from_edges(edges(), N), EVERY, partners, count=count)
    )
    for u in range(N):
        new = [v for v in range(20) if v != u and not a[u, v] and value[u, v]]
        best = sorted((value[u, v] for v in new), reverse=True)[:count]
        assert set(found[u]) <= set(new)
        assert sorted((value[u, v] for v in found[u]), reverse=True) == pytest.approx(best)


def test_across_a_bipartite_graph_it_is_the_neighbours_of_alike_nodes(blocks):
    links = edges(bipartite=True)
    a = adjacency(links.numpy(), N)
    found = by_node(
        two_hop.two_hop_pairs(
            Graph.from_edges(links, N), EVERY[:SOURCES], EVERY >= SOURCES, count=N, across=True
        )
    )
    value = adamic_adar(a)
    for u in range(SOURCES):
        alike = [w for w in range(SOURCES) if w != u and value[u, w]]
        expected = {v for w in alike for v in np.flatnonzero(a[w]) if not a[u, v]}
        assert set(found[u]) == expected


def test_walks_through_hubs_are_left_out_where_there_are_too_many(monkeypatch):
    star = torch.tensor([[0] * 9 + [10, 10], [*range(1, 10), 11, 12]])
    graph, partners = Graph.from_edges(star, N), torch.ones(N, dtype=torch.bool)
    assert by_node(two_hop.two_hop_pairs(graph, EVERY, partners, count=N))[1] == [*range(2, 10)]
    monkeypatch.setattr(two_hop, "_MOST_WALKS", 50)
    found = by_node(two_hop.two_hop_pairs(graph, EVERY, partners, count=N))
    assert found[1] == [] and found[11] == [12]


@pytest.mark.parametrize("way", ["exact", "index"])
def test_nearest_are_those_of_highest_cosine(blocks, monkeypatch, way):
    if way == "index":
        monkeypatch.setattr(nearest, "_EXACT", 0)
    h = torch.randn(N, 5, generator=torch.Generator().manual_seed(0)) * torch.arange(N)[:, None]
    partners = torch.arange(8, N)
    found = by_node(nearest.nearest_pairs(h, EVERY[:20], partners, count=4))
    cosine = torch.cosine_similarity(h[:, None].double(), h[None].double(), dim=-1)
    for u in range(1, 20):  # that of node 0 is zero
        best = cosine[u, 8:].sort(descending=True).values[:4]
        assert set(found[u]) <= set(range(8, N))
        assert torch.allclose(cosine[u, found[u]].sort(descending=True).values, best, atol=2e-3)
    assert found[20] == []


@pytest.mark.parametrize("kind", ["undirected", "directed", "bipartite"])
def test_candidates_are_both_and_few(kind):
    links = edges(bipartite=kind == "bipartite")
    graph, most = Graph.from_edges(links, N), 120
    pairs = AllPairs(
        EVERY,
        N,
        directed=kind == "directed",
        num_sources=SOURCES if kind == "bipartite" else None,
    )
    h = torch.randn(N, 5, generator=torch.Generator().manual_seed(0))
    found = find_candidates(graph, h, pairs, most=most)
    have = {tuple(pair) for pair in found.T.tolist()}
    assert have <= {tuple(pair) for pair in pairs.block(0, len(pairs)).T.tolist()}
    linked = graph.find(found) >= 0
    each = max(1, most // (2 * len(pairs.first) * (2 if kind == "directed" else 1)))
    across = kind == "bipartite"
    hops = two_hop.two_hop_pairs(graph, pairs.first, EVERY >= 0, count=each, across=across)
    for block in hops:
        for u, v in block.T.tolist():
            assert (u, v) in have or (v, u) in have
    alike = nearest.nearest_pairs(h, pairs.first, pairs.second, count=2)
    for u, v in torch.cat(list(alike), dim=1).T.tolist():
        if u != v and graph.find(torch.tensor([[u], [v]])) < 0:
            assert (u, v) in have or (v, u) in have
    if kind == "directed":  # a link may be answered
        assert {(v, u) for u, v in links.T.tolist()} <= have
        assert {(v, u) for u, v in have} == have
    else:
        assert not linked.any()
    mean_degree = 1 + graph.num_entries // N
    assert (~linked).sum() <= most + 2 * mean_degree * len(pairs.first)
    assert find_candidates(graph, h[:, :0], pairs, most=most).size(1) < found.size(1)
