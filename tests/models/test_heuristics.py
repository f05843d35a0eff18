"""Heuristics against plain NumPy on dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import neighbours, overlap

from runner.models.heuristics import (
    AdamicAdar,
    CommonNeighbours,
    Katz,
    PersonalisedPageRank,
    ResourceAllocation,
    ShortestPath,
)
from runner.ops.csr import Graph


def scores(heuristic, case):
    return heuristic(case.h, case.graph, case.pairs).numpy()


@pytest.mark.parametrize(
    ("heuristic", "weight"),
    [
        (CommonNeighbours(), lambda degree: 1.0),
        (AdamicAdar(), lambda degree: 1 / np.log(max(degree, 2))),
        (ResourceAllocation(), lambda degree: 1 / max(degree, 2)),
    ],
)
def test_common_neighbours_and_their_weights(case, heuristic, weight):
    degree = [len(neighbours(case.dense, w)) for w in range(len(case.dense))]
    expected = [
        sum(weight(degree[w]) for w in overlap(case.dense, u, v)[0]) for u, v in case.pairs.T
    ]
    np.testing.assert_allclose(scores(heuristic, case), expected)


@pytest.mark.parametrize("starts_at_a_time", [1, 7, 256])
def test_katz_is_the_sum_of_matrix_powers(case, starts_at_a_time):
    index = sum(0.05**k * np.linalg.matrix_power(case.dense, k) for k in range(1, 5))
    expected = [index[u, v] for u, v in case.pairs.T]
    found = scores(Katz(beta=0.05, max_length=4, starts_at_a_time=starts_at_a_time), case)
    np.testing.assert_allclose(found, expected)


def test_personalised_pagerank_solves_its_equation(case):
    """π_u = d P π_u + (1 - d) e_u, where a node without neighbours keeps its walker."""
    degree = case.dense.sum(0)
    moves = np.where(degree > 0, case.dense / np.maximum(degree, 1), np.eye(len(degree)))
    rank = 0.15 * np.linalg.inv(np.eye(len(degree)) - 0.85 * moves)
    expected = [rank[v, u] + rank[u, v] for u, v in case.pairs.T]
    found = scores(PersonalisedPageRank(iterations=200, starts_at_a_time=7), case)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_shortest_path_by_hand():
    # 0 - 1 - 2 - 3, 4 - 5, and 6 alone.
    graph = Graph.from_edges(torch.tensor([[0, 1, 2, 4], [1, 2, 3, 5]]), 7)
    pairs = torch.tensor([[0, 0, 0, 3, 0, 4, 6, 2], [1, 2, 3, 0, 4, 5, 0, 2]])
    expected = [1, 1 / 2, 1 / 3, 1 / 3, 0, 1, 0, 1]
    assert ShortestPath()(None, graph, pairs).tolist() == pytest.approx(expected)
    assert ShortestPath(max_length=2)(None, graph, pairs)[2] == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Katz(beta=0.0), "beta must be above 0"),
        (lambda: Katz(max_length=0), "max_length at least 1"),
        (lambda: PersonalisedPageRank(damping=1.0), "damping must be between 0 and 1"),
        (lambda: ShortestPath(max_length=0), "max_length must be at least 1"),
        (lambda: ShortestPath(starts_at_a_time=0), "starts_at_a_time must be at least 1"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
