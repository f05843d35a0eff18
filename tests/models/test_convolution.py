from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.dense_reference import ISOLATED, NUM_NODES, adjacency, arrays, convolve, random_edges

from runner.models.convolution import (
    GCN,
    GIN,
    SAGE,
    MeanLinear,
    NoLoopGCN,
    PureGCN,
    PureMax,
    PureMean,
    PureSum,
    SumLinear,
    _pyg_layers,
)
from runner.ops.csr import Graph

PURE = (PureGCN, PureSum, PureMean, PureMax)
ALL = (*PURE, GCN, SumLinear, MeanLinear, NoLoopGCN, SAGE, GIN)


@pytest.fixture
def edges():
    return random_edges(0)


@pytest.fixture
def graph(edges):
    return Graph.from_edges(torch.from_numpy(edges), NUM_NODES)


def built(kind, out_features=6):
    torch.manual_seed(0)
    module = kind(6, 6 if kind in PURE else out_features).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)  # zero biases would hide where they are added
    return module


def dense(module, x, a):
    state = arrays(torch.nn.ModuleDict({"layer": module}))
    return convolve(type(module).__name__, state, "layer", x.numpy(), a)


def features():
    return torch.from_numpy(np.random.default_rng(1).normal(size=(NUM_NODES, 6)))


@pytest.mark.parametrize("out_features", [4, 6, 9])
@pytest.mark.parametrize("kind", ALL)
def test_against_a_dense_matrix(kind, out_features, edges, graph):
    module = built(kind, out_features)
    out = module(features(), graph)
    a = adjacency(edges, NUM_NODES)
    expected = dense(module, features(), a)
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=0, atol=1e-10)
    assert out.dtype == torch.float64
    assert bool(out[ISOLATED].isfinite().all())


@pytest.mark.parametrize("kind", ALL)
def test_weights_on_a_directed_graph(kind, graph):
    """Edge dropout gives such: row sums and column sums of the weights differ."""
    graph = graph.keep(torch.rand(graph.num_entries, generator=torch.manual_seed(0)) < 0.7)
    weight = torch.rand(graph.num_entries, dtype=torch.float64) + 0.5
    a = np.zeros((NUM_NODES, NUM_NODES))
    a[graph.row, graph.col] = weight.numpy()
    module = built(kind, 4)
    out = module(features(), graph, weight)
    expected = dense(module, features(), a)
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ALL)
def test_gradient(kind, graph):
    module = built(kind, 4)
    x = features().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: module(x, graph), x, fast_mode=True)


@pytest.mark.parametrize("kind", ALL)
def test_no_edges(kind):
    graph = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), 3)
    module = built(kind, 4)
    assert bool(module(features()[:3], graph).isfinite().all())


@pytest.mark.parametrize("kind", ALL)
def test_says_whether_it_has_weights(kind):
    assert kind.has_weights is (kind not in PURE)
    assert kind.has_weights is (len(list(kind(4, 4).parameters())) > 0)


@pytest.mark.parametrize("kind", PURE)
def test_pure_keeps_the_width(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__} has no weights to map 4 features to 5"):
        kind(4, 5)


@pytest.mark.parametrize(("kind", "name"), [(GCN, "GCNConv"), (SAGE, "SAGEConv"), (GIN, "GINConv")])
def test_is_what_pyg_computes(kind, name, graph):
    """Against PyG's own layer with the same parameters, message passing and all."""
    module = built(kind, 4)
    edge_index = torch.stack((graph.row, graph.col))
    if kind is GCN:
        layer = _pyg_layers().GCNConv(6, 4).double()
        layer.lin.weight, layer.bias = module.linear.weight, module.bias
    else:
        layer = module.layer
        assert type(layer).__name__ == name
    torch.testing.assert_close(module(features(), graph), layer(features(), edge_index))


def test_gcn_starts_as_pyg_does():
    torch.manual_seed(0)
    module = GCN(500, 300)
    bound = (6 / 800) ** 0.5
    largest = module.linear.weight.abs().max().item()
    assert 0.99 * bound < largest <= bound
    assert not module.bias.any()


@pytest.mark.command
def test_importing_leaves_pyg_alone():
    code = "import sys, runner.models.convolution; sys.exit('torch_geometric' in sys.modules)"
    paths = repr([path for path in sys.path if path])
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}; {code}"], check=True
    )
