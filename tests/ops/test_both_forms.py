"""Compiled and plain operators side by side, on inputs large enough for several threads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from runner.ops import backend
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.overlap import common_neighbours, neighbourhoods, sum_over_common_neighbours


def ragged(pairs, entries, nodes):
    target = torch.randint(pairs, (entries,))
    rowptr = torch.zeros(pairs + 1, dtype=torch.int64)
    rowptr[1:] = torch.bincount(target, minlength=pairs).cumsum(0)
    return rowptr, torch.randint(nodes, (entries,))


@pytest.mark.parametrize("weighted", [False, True])
def test_pool(two_threads, weighted):
    rowptr, node = ragged(3000, 60_000, 500)
    x = torch.randn(500, 33, requires_grad=True)
    given = (x, torch.rand(60_000, requires_grad=True)) if weighted else (x,)
    upstream = torch.randn(3000, 33)

    def results():
        out = pool(x, rowptr, node, weight=given[1] if weighted else None)
        return out, *torch.autograd.grad(out, given, upstream)

    compiled = results()
    with backend.plain():
        plain = results()
    for a, b in zip(compiled, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_skewed_degrees_and_threads(two_threads, index):
    """Hubs are searched instead of merged, or marked, and pairs go to several threads."""
    hubs = torch.stack([torch.randint(3, (4000,)), torch.randint(3, 3000, (4000,))])
    others = torch.randint(3, 3000, (2, 3000))
    graph = Graph.from_edges(torch.cat([hubs, others], dim=1), 3000)
    graph = replace(graph, col=graph.col.to(index))  # int64: of 2^31 nodes
    pairs = torch.randint(3000, (2, 20_000))
    pairs[0, ::3] = torch.randint(3, pairs[0, ::3].shape)
    pairs[1, 1::3] = torch.randint(3, pairs[1, 1::3].shape)
    pairs[0, 10_000:] = pairs[0, 10_000:].sort()[0]
    found = common_neighbours(graph, pairs), *neighbourhoods(graph, pairs)
    with backend.plain():
        expected = common_neighbours(graph, pairs), *neighbourhoods(graph, pairs)
    assert expected[0].node.numel() > 1000
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a.rowptr, b.rowptr)
        assert torch.equal(a.node, b.node)


@pytest.mark.parametrize("dense", [True, False])
def test_sum_over_common_neighbours_of_skewed_degrees(two_threads, dense, monkeypatch):
    monkeypatch.setattr("runner.ops.overlap._MANY", 0 if dense else 1e9)
    hubs = torch.stack([torch.randint(3, (4000,)), torch.randint(3, 3000, (4000,))])
    others = torch.randint(3, 3000, (2, 3000))
    graph = Graph.from_edges(torch.cat([hubs, others], dim=1), 3000)
    pairs = torch.randint(3000, (2, 20_000))
    pairs[0, ::3] = torch.randint(3, pairs[0, ::3].shape)
    pairs[1, 1::3] = torch.randint(3, pairs[1, 1::3].shape)
    pairs[0, 10_000:] = pairs[0, 10_000:].sort()[0]
    x = torch.randn(3000, 4).double()
    found = sum_over_common_neighbours(graph, pairs, x, start=torch.zeros(4).double())
    with backend.plain():
        expected = sum_over_common_neighbours(graph, pairs, x, start=torch.zeros(4).double())
    assert expected[1].sum() > 1000
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("width", [16, 3000])
def test_sum_over_common_neighbours_of_a_dense_graph(two_threads, width):
    """Rows of neighbours fit into the cache together, or they do not."""
    graph = Graph.from_edges(torch.randint(150, (2, 9000)), 150)
    pairs = torch.randint(150, (2, 1500))
    pairs = pairs[:, pairs[0].argsort()]
    x, start = torch.randn(150, width).double(), torch.randn(width).double()
    found = sum_over_common_neighbours(graph, pairs, x, start=start)
    with backend.plain():
        expected = sum_over_common_neighbours(graph, pairs, x, start=start)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
