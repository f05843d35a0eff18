from __future__ import annotations

import pytest
import torch
from tests.dense_reference import NUM_NODES, random_edges

from runner.ops.csr import Graph
from runner.ops.propagate import propagate

pytestmark = pytest.mark.usefixtures("form")


@pytest.fixture(params=["symmetric", "symmetric, weighted", "directed", "directed, weighted"])
def case(request):
    """A graph, weights of its entries, and the matrix that it propagates with."""
    seeded = torch.manual_seed(0)
    graph = Graph.from_edges(torch.from_numpy(random_edges(0)), NUM_NODES)
    if request.param.startswith("directed"):
        graph = graph.keep(torch.rand(graph.num_entries, generator=seeded) < 0.6)
    weight = None
    if request.param.endswith("weighted"):
        weight = torch.rand(graph.num_entries, dtype=torch.float64, generator=seeded) + 0.5
    dense = torch.zeros(NUM_NODES, NUM_NODES, dtype=torch.float64)
    dense[graph.row, graph.col] = 1.0 if weight is None else weight
    scale = (1 + dense.sum(1)).rsqrt()
    return graph, weight, scale[:, None] * (dense + torch.eye(NUM_NODES)) * scale


def test_against_a_dense_matrix(case):
    graph, weight, dense = case
    x = torch.randn(NUM_NODES, 5, dtype=torch.float64)
    torch.testing.assert_close(propagate(x, graph, weight), dense @ x)


def test_gradient(case):
    """On a directed graph it goes through the transposed matrix."""
    graph, weight, dense = case
    x = torch.randn(NUM_NODES, 5, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(NUM_NODES, 5, dtype=torch.float64)
    (found,) = torch.autograd.grad(propagate(x, graph, weight), x, upstream)
    torch.testing.assert_close(found, dense.T @ upstream)


def test_keeps_the_type(case):
    graph, weight, _ = case
    assert propagate(torch.randn(NUM_NODES, 3), graph, weight).dtype == torch.float32
