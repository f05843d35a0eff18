"""LightGCN, SharedGCN and HL-GNN against dense matrices, and what holds of all three."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import (
    NUM_NODES,
    adjacency,
    arrays,
    layer_norm,
    linear,
    random_edges,
    relu,
)

from runner.models.hl_gnn import HLGNN, start_of_mixture
from runner.models.light_gcn import LightGCN
from runner.models.mlp import Dropout
from runner.models.shared_gcn import SharedGCN
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field
from runner.ops.sparse_rows import SparseRows

WIDTH, HIDDEN = 7, 5
EDGES = random_edges(0)
GRAPH = Graph.from_edges(torch.from_numpy(EDGES), NUM_NODES)
FEATURES = torch.from_numpy(np.random.default_rng(1).normal(size=(NUM_NODES, WIDTH)))
# Each takes a residual, a norm or another thing that tells it from the others.
FORMS = {
    "light": (LightGCN, {"layers": 3, "relu": True}),
    "light_halves": (LightGCN, {"layers": 2, "mixture": "halves", "layer_norm": False}),
    "features": (SharedGCN, {"form": "features", "layers": 3, "residual_weight": 0.4}),
    "features_relu": (SharedGCN, {"form": "features", "layers": 2, "relu": True}),
    "linear": (SharedGCN, {"form": "linear", "layers": 3, "residual_weight": 1.0}),
    "linear_relu": (SharedGCN, {"form": "linear", "layers": 1, "relu": True}),
    "embedding": (
        SharedGCN,
        {"form": "embedding", "layers": 3, "residual_weight": 0.3, "layer_norm": False},
    ),
    "hl": (HLGNN, {"layers": 4}),
    "hl_ki": (HLGNN, {"layers": 2, "start": "ki"}),
}


def build(form, **changed):
    kind, own = FORMS[form]
    width = HIDDEN if form == "embedding" else WIDTH
    rate = "input_dropout" if kind is HLGNN else "hidden_dropout"
    torch.manual_seed(0)
    given = {"num_features": width, "hidden": HIDDEN, rate: 0.0, **own, **changed}
    module = kind(**given).double()
    with torch.no_grad():  # zero biases and unit scales would hide mistakes
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def features_of(form):
    return FEATURES[:, :HIDDEN] if form == "embedding" else FEATURES


def expected(form, module, x):
    """The formulas of the docstrings, over a dense Â."""
    state, own = arrays(module), FORMS[form][1]
    a = adjacency(EDGES, NUM_NODES) + np.eye(NUM_NODES)
    scale = a.sum(1) ** -0.5
    a = scale[:, None] * a * scale
    layers, r = own["layers"], own.get("residual_weight", 0)

    def f(i, h):
        h = layer_norm(state, f"between.{i}.0", h) if f"between.{i}.0.weight" in state else h
        return relu(h) if own.get("relu") else h

    def conv(name, h):
        return a @ h @ state[f"{name}.linear.weight"].T + state.get(f"{name}.bias", 0)

    if form.startswith("hl"):
        h, out = linear(state, "linear", x), 0
        for share in state["mixture"]:
            out, h = out + share * h, a @ h
        return out
    if form.startswith("light"):
        shares = np.exp(state["mixture"]) / np.exp(state["mixture"]).sum()
        h = conv("first", x)
        out = shares[0] * h
        for i in range(1, layers):
            h = a @ f(i - 1, h)
            out = out + shares[i] * h
        return out
    if form.startswith("linear"):
        origin = f(0, linear(state, "first", x))
        h = conv("shared", origin)
        for i in range(1, layers):
            h = conv("shared", f(i, h + r * origin))
        return h
    h = conv("first", x)
    origin = x if form == "embedding" else h
    h = h + r * x if form == "embedding" else h
    for i in range(1, layers):
        h = conv("shared", f(i - 1, h)) + r * origin
    return h


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def test_against_a_dense_matrix(form):
    module = build(form)
    found = module(features_of(form), GRAPH).detach()
    wanted = expected(form, module, features_of(form).numpy())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


def test_sparse_features_give_the_same(form):
    features = features_of(form) * (FEATURES[:, :1] > 0)
    module = build(form)
    found = module(SparseRows.from_dense(features), GRAPH)
    torch.testing.assert_close(found, module(features, GRAPH))


def test_a_receptive_field_gives_the_embeddings_of_the_whole_graph(form):
    module, features = build(form), features_of(form)
    field = receptive_field(GRAPH, torch.tensor([0, 5, 7]), reach=1, layers=module.layers)
    inner = field.nodes[: field.graph.num_nodes]
    assert module.layers == FORMS[form][1]["layers"] and len(inner) < NUM_NODES
    torch.testing.assert_close(
        module(features[field.nodes], field.layers), module(features, GRAPH)[inner]
    )


def test_it_sees_no_further_than_its_layers(form):
    module, features = build(form), features_of(form)
    path = Graph.from_edges(torch.stack([torch.arange(9), torch.arange(1, 10)]), 10)
    features = features[:10].clone().requires_grad_()
    module(features, path)[0].sum().backward()
    seen = features.grad.any(dim=1).nonzero().flatten()
    assert seen.tolist() == list(range(module.layers + 1))


def test_edge_weights(form):
    """A weight of 0 is no edge, where both of its directions have it."""
    module, features = build(form), features_of(form)
    kept = (GRAPH.row * GRAPH.col) % 3 > 0
    weighted = module(features, GRAPH, kept.double())
    torch.testing.assert_close(weighted, module(features, GRAPH.keep(kept)))
    field = receptive_field(GRAPH, torch.tensor([0]), reach=1, layers=module.layers)
    with pytest.raises(ValueError, match="edge weights belong to one graph"):
        module(features[field.nodes], field.layers, kept.double())


def test_every_parameter_is_trained(form):
    module = build(form)
    module(features_of(form), GRAPH).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert bool(parameter.grad.any()), name


def test_dropout_acts_in_training_alone(form):
    rate = "input_dropout" if form.startswith("hl") else "hidden_dropout"
    module, features = build(form, **{rate: 0.5}), features_of(form)
    assert torch.equal(module.eval()(features, GRAPH), build(form)(features, GRAPH))
    module.train()
    assert not torch.equal(module(features, GRAPH), module(features, GRAPH))


@pytest.mark.parametrize("relu", [False, True])
def test_dropout_stands_after_the_norm(relu):
    """A LayerNorm after it would leave no zeros."""
    module = build("features_relu", relu=relu, hidden_dropout=0.5).train()
    with torch.no_grad():
        module.between[0][0].bias.fill_(9.0)
    x = torch.randn(NUM_NODES, HIDDEN, dtype=torch.float64)
    dropped = module.between[0](x).detach()
    assert 0.3 < float((dropped == 0).double().mean()) < 0.7
    assert float(dropped.max()) > 12  # the others are twice as large


def test_categories_are_embedded_orthogonally(form):
    ids = torch.arange(NUM_NODES) % 4
    torch.manual_seed(0)
    module = FORMS[form][0](num_categories=4, hidden=HIDDEN, **FORMS[form][1]).eval()
    rows = module.input.embedding.weight
    torch.testing.assert_close(rows @ rows.t(), torch.eye(4))
    assert module(ids, GRAPH).shape == (NUM_NODES, HIDDEN)
    assert module.layers == FORMS[form][1]["layers"]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_learned_rows_beside_features(form, first, sparse):
    beside = {"embedding": 3, "embedding_first": first, "num_nodes": NUM_NODES}
    if form == "embedding":
        beside["residual_weight"] = 0.0  # it needs the input's own width
    module = build(form, **beside)
    learned, features = module.input.embedding.weight, features_of(form)
    x = torch.cat([learned, features] if first else [features, learned], dim=1)
    plain = build(form, num_features=x.size(1), **{k: beside[k] for k in beside if k[0] == "r"})
    plain.load_state_dict({k: v for k, v in module.state_dict().items() if "embedding" not in k})
    given = SparseRows.from_dense(features) if sparse else features
    torch.testing.assert_close(module(given, GRAPH), plain(x, GRAPH))
    assert module.layers is None  # rows of a part of the graph would meet those of other nodes
    with pytest.raises(ValueError, match="features of 3 nodes, and embeddings of 30"):
        module(features[:3], GRAPH)


@pytest.mark.parametrize(
    ("form", "changed", "message"),
    [
        ("embedding", {"num_features": WIDTH}, r"encoder\.residual_weight=0\.3: the input is 7"),
        ("features", {"layers": 1}, r"residual_weight=0\.4: it has no effect with encoder\.layers"),
        ("linear", {"layers": 1}, r"residual_weight=1: it has no effect with encoder\.layers"),
        ("light", {"embedding_first": True}, r"encoder\.embedding_first=true"),
        ("hl", {"embedding": 4}, "give num_nodes"),
        ("hl", {"num_features": None}, "give num_features"),
        ("hl", {"start": "random"}, r"encoder\.alpha=0\.2 has no effect"),
        ("hl", {"alpha": None}, r"encoder\.start=rwr needs encoder\.alpha"),
        ("hl", {"start": "sgc", "alpha": 0.5}, r"encoder\.alpha=0\.5.*number of steps up to"),
        ("hl", {"start": "sgc", "alpha": 5}, r"encoder\.alpha=5.*encoder\.layers=4"),
        ("hl_ki", {"alpha": 1.5}, r"encoder\.alpha=1\.5.*below 1"),
    ],
)
def test_what_does_not_go_together(form, changed, message):
    with pytest.raises(ValueError, match=message):
        build(form, **changed)


def test_starts_of_the_mixtures():
    torch.testing.assert_close(
        start_of_mixture("rwr", 2, 0.2), torch.tensor([0.2, 0.16, 0.64]), rtol=0, atol=1e-7
    )
    torch.testing.assert_close(start_of_mixture("ki", 2, 0.5), torch.tensor([1, 0.5, 0.25]))
    assert start_of_mixture("sgc", 3, 2).tolist() == [0, 0, 1, 0]
    torch.manual_seed(0)
    drawn = start_of_mixture("random", 50, None)
    assert float(drawn.min()) < 0 < float(drawn.max())
    torch.testing.assert_close(drawn.abs().sum(), torch.tensor(1.0))
    torch.testing.assert_close(
        LightGCN(num_features=2, layers=3, mixture="halves").mixture.data,
        torch.tensor([1, 0.5, 0.25]),
    )
    assert LightGCN(num_features=2, layers=3).mixture.tolist() == [1, 1, 1]


def test_the_convolution_is_one_for_all_steps():
    assert (
        len(list(SharedGCN(num_features=4, hidden=4, layers=9, layer_norm=False).parameters())) == 4
    )
    assert sum(isinstance(m, Dropout) for m in SharedGCN(num_features=4, layers=9).modules()) == 8
