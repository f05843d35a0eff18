"""Personalised PageRank by push, against the solution of its linear system."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import adjacency, random_edges

from runner.ops.csr import Graph
from runner.ops.pagerank import personalised_pagerank

ISOLATED = 40  # the last nodes of the graph


def exact(dense: np.ndarray, damping: float) -> np.ndarray:
    """Row s: the distribution of the walk that restarts at s; a node without a link keeps it."""
    degree = dense.sum(1)
    step = np.divide(dense, degree[:, None], where=degree[:, None] > 0, out=np.eye(len(dense)))
    return (1 - damping) * np.linalg.inv(np.eye(len(dense)) - damping * step)


@pytest.mark.parametrize("damping", [0.5, 0.85])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-9])
def test_estimates_are_too_low_by_no_more_than_is_said(damping, epsilon):
    edges = random_edges(3)
    size = int(edges.max()) + 1 + ISOLATED
    graph, dense = (
        Graph.from_edges(torch.from_numpy(edges), size),
        adjacency(edges, size).astype(float),
    )
    starts = torch.tensor([5, 0, size - 1, 5])
    rows = personalised_pagerank(graph, starts, damping=damping, epsilon=epsilon)
    found = np.zeros((len(starts), size))
    for place in range(len(starts)):
        entries = slice(*rows.rowptr[place : place + 2].tolist())
        assert bool((rows.col[entries].diff() > 0).all())
        found[place, rows.col[entries]] = rows.value[entries]
    missing = exact(dense, damping)[starts] - found
    assert missing.min() > -1e-12
    assert (missing <= epsilon * dense.sum(1) + 1e-12).all()
    assert found[2, size - 1] == 1.0


def test_the_same_for_any_number_of_threads():
    graph = Graph.from_edges(torch.randint(500, (2, 4000)), 500)
    starts = torch.arange(500)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(personalised_pagerank(graph, starts))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0].rowptr, found[1].rowptr)
    assert torch.equal(found[0].col, found[1].col) and torch.equal(found[0].value, found[1].value)


def test_no_start_at_all():
    rows = personalised_pagerank(Graph.from_edges(torch.tensor([[0], [1]]), 2), torch.arange(0))
    assert rows.rowptr.tolist() == [0] and rows.value.numel() == 0


@pytest.mark.parametrize("wrong", [{"damping": 1.0}, {"damping": 0.0}, {"epsilon": 0.0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="damping must be"):
        personalised_pagerank(
            Graph.from_edges(torch.tensor([[0], [1]]), 2), torch.arange(1), **wrong
        )
