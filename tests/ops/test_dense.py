from __future__ import annotations

import pytest
import torch
from tests.dense_reference import NUM_NODES, random_edges, some_pairs

from runner.ops import dense
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.overlap import common_neighbours, pool_common_neighbours, sum_over_common_neighbours


@pytest.fixture(params=[2**29, 200])
def case(request, monkeypatch):
    """A graph, pairs and features; the second time in blocks of few pairs."""
    monkeypatch.setattr(dense, "_BLOCK_BYTES", request.param)
    edges = random_edges(0)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    return graph, torch.from_numpy(some_pairs(edges)), torch.randn(NUM_NODES, 5)


def test_pools_like_lists(case):
    graph, pairs, x = case
    x.requires_grad_()
    common = common_neighbours(graph, pairs)
    expected = pool(x, common.rowptr, common.node)
    found = dense.pool_common(graph, pairs, x)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, x, upstream), torch.autograd.grad(expected, x, upstream)
    )


def test_sums_and_counts(case):
    graph, pairs, x = case
    common = common_neighbours(graph, pairs)
    sums, counts = dense.sum_common(graph, pairs, x)
    torch.testing.assert_close(sums, pool(x, common.rowptr, common.node))
    assert torch.equal(counts, common.counts())
    assert counts.any() and not counts.all()


def test_no_pairs(case):
    graph, pairs, x = case
    assert dense.pool_common(graph, pairs[:, :0], x).shape == (0, 5)
    assert [found.shape[0] for found in dense.sum_common(graph, pairs[:, :0], x)] == [0, 0]


def test_the_cpu_lists():
    """Products are for a GPU: on the CPU kernels are faster."""
    full = torch.combinations(torch.arange(8)).T
    assert not dense.suits(Graph.from_edges(full, 8))


def test_thirds_are_the_number():
    x = torch.randn(50, 7) * 10.0 ** torch.randint(-9, 9, (50, 7))
    assert torch.equal(dense.thirds(x).double().view(50, 3, 7).sum(1), x.double())


def test_takes_the_place_of_lists(case, monkeypatch):
    graph, pairs, x = case
    start = torch.randn(5)

    def both():
        return (
            pool_common_neighbours(graph, pairs, x),
            *sum_over_common_neighbours(graph, pairs, x, start=start),
        )

    listed = both()
    monkeypatch.setattr(dense, "suits", lambda graph: True)
    for lists in ("common_neighbours", "_common_neighbours", "_merge"):
        monkeypatch.setattr(f"runner.ops.overlap.{lists}", None)
    found = both()
    for a, b in zip(found, listed, strict=True):
        torch.testing.assert_close(a, b)
