"""Counts of nodes by their distances from two nodes, against sets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges, some_pairs
from tests.releases.reference import fixed_input, read_reference

from runner.ops import backend, distance_counts
from runner.ops.csr import Graph


def balls(a: np.ndarray, node: int, hops: int) -> list[set[int]]:
    """The nodes within 1, 2, … steps of a node of a dense matrix."""
    found, within = [], {node}
    for _ in range(hops):
        within = within | {w for u in within for w in np.flatnonzero(a[u])}
        found.append({int(w) for w in within})
    return found


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("most", [2**25, 3])
def test_against_sets(form, hops, seed, most, monkeypatch):
    """All at once, and a ball or so at a time."""
    monkeypatch.setattr(distance_counts, "_MOST_LISTED", most)
    edges = random_edges(seed)
    graph, pairs = Graph.from_edges(torch.from_numpy(edges), NUM_NODES), some_pairs(edges)
    found = distance_counts.distance_counts(graph, torch.from_numpy(pairs), hops)
    a = adjacency(edges, NUM_NODES)
    for b, (u, v) in enumerate(pairs.T):
        of_u, of_v = balls(a, u, hops), balls(a, v, hops)
        assert found.first[b].tolist() == [len(ball) for ball in of_u]
        assert found.second[b].tolist() == [len(ball) for ball in of_v]
        assert found.shared[b].tolist() == [[len(x & y) for y in of_v] for x in of_u]


def test_forms_agree_over_threads_and_many_pairs(two_threads):
    graph = Graph.from_edges(torch.randint(900, (2, 4000)), 900)
    pairs = torch.randint(900, (2, 20_000))
    found = distance_counts.distance_counts(graph, pairs, 2)
    with backend.plain():
        expected = distance_counts.distance_counts(graph, pairs[:, :2000], 2)
    assert found.shared.sum() > 20_000
    for name in ("shared", "first", "second"):
        assert torch.equal(getattr(found, name)[:2000], getattr(expected, name))


def test_no_pairs_no_links_and_wrong_numbers(form):
    empty = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), 4)
    found = distance_counts.distance_counts(empty, torch.tensor([[0, 1], [0, 2]]), 2)
    assert found.shared.tolist() == [[[1, 1], [1, 1]], [[0, 0], [0, 0]]]
    none = distance_counts.distance_counts(empty, torch.zeros(2, 0, dtype=torch.int64), 3)
    assert none.shared.shape == (0, 3, 3) and none.first.shape == (0, 3)
    for hops in (0, 4):
        with pytest.raises(ValueError, match="hops must be 1 to 3"):
            distance_counts.distance_counts(empty, torch.zeros(2, 0, dtype=torch.int64), hops)


def test_bounds_are_bounds():
    graph = Graph.from_edges(torch.from_numpy(random_edges(0)), NUM_NODES)
    nodes = torch.arange(NUM_NODES).expand(2, -1)
    for hops in (1, 2, 3):
        sizes = distance_counts.distance_counts(graph, nodes, hops).first[:, -1]
        assert bool((sizes <= distance_counts.ball_bounds(graph, hops)).all())
    assert distance_counts.expected_ball(graph, 1) == pytest.approx(
        float(((graph.degree() + 1) * graph.degree()).sum()) / graph.num_entries
    )


def test_those_of_a_real_graph():
    stored = read_reference("buddy")
    graph, _, _, pairs = fixed_input()
    found = distance_counts.distance_counts(graph, pairs, 3)
    assert np.array_equal(found.shared.permute(1, 2, 0).numpy(), stored["exact/intersections"])
    assert np.array_equal(found.first.numpy(), stored["exact/cards"][pairs[0].numpy()])
