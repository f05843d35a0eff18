"""SIR-GCN against its formulas, one message after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, arrays, random_edges
from tests.models.builders import build_encoder
from tests.releases.shipped import as_shipped
from torch import nn

from runner.models.sir_gcn import SIR, sir_convolution
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.3 * x),
    "none": lambda x: x,
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "tanh": np.tanh,
}
WIDTH, OUT = 7, 5
EDGES = random_edges(0)
GRAPH = Graph.from_edges(torch.from_numpy(EDGES), NUM_NODES)
FEATURES = torch.from_numpy(np.random.default_rng(1).normal(size=(NUM_NODES, WIDTH)))


def build(**options):
    torch.manual_seed(0)
    module = SIR(WIDTH, OUT, **options).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module.eval()


def expected(module, x, a, activation="relu", edge_features=None):
    """One message after the other; ``a`` may be weighted and directed."""
    state, each = arrays(module), module.bias_each or module.aggregation == "max"
    bias = state.get("relation.bias", np.zeros(OUT))
    query = x @ state["query.weight"].T + state.get("query.bias", 0)
    key = x @ state["key.weight"].T + state.get("key.bias", 0)
    degree = np.where(a.sum(1) == 0, 1, a.sum(1))
    rows = []
    for u in range(len(a)):
        made = []
        for v in np.flatnonzero(a[u]):
            inner = query[u] + key[v]
            if edge_features is not None:
                inner = inner + state["edge.weight"] @ edge_features[u, v]
            mapped = state["relation.weight"] @ ACTIVATIONS[activation](inner) + each * bias
            share = {
                "sum": a[u, v],
                "mean": a[u, v] / degree[u],
                "sym": a[u, v] / math.sqrt(degree[u] * degree[v]),
                "max": 1,
            }[module.aggregation]
            made.append(share * mapped)
        made = made or [np.zeros(OUT)]
        row = np.max(made, 0) if module.aggregation == "max" else np.sum(made, 0)
        own = state["own.weight"] @ x[u] if "own.weight" in state else 0
        rows.append(row + (not each) * bias + own)
    return np.array(rows)


FORMS = {
    "sum": {},
    "mean": {"aggregation": "mean", "key_bias": True, "message_width": 3},
    "sym": {"aggregation": "sym", "own_term": True},
    "max": {"aggregation": "max", "message_width": 4},
    "sum_each": {"bias_each": True, "query_bias": False},
    "mean_each": {"aggregation": "mean", "bias_each": True},
    "sym_each": {"aggregation": "sym", "bias_each": True},
    "max_each": {"aggregation": "max", "bias_each": True, "own_term": True},
    "no_bias": {"query_bias": False, "relation_bias": False},
}


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_against_the_formulas(options, form):
    module = build(**options)
    found = module(FEATURES, GRAPH).detach()
    wanted = expected(module, FEATURES.numpy(), adjacency(EDGES, NUM_NODES))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_weights_on_a_directed_graph(options):
    """Edge dropout gives such: row sums and column sums of the weights differ."""
    graph = GRAPH.keep(torch.rand(GRAPH.num_entries, generator=torch.manual_seed(0)) < 0.7)
    weight = torch.rand(graph.num_entries, dtype=torch.float64) + 0.5
    a = np.zeros((NUM_NODES, NUM_NODES))
    a[graph.row, graph.col] = weight.numpy()
    module = build(**options)
    wanted = expected(module, FEATURES.numpy(), a)
    found = module(FEATURES, graph, weight).detach()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("aggregation", ["mean", "max"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, aggregation):
    slope = {"negative_slope": 0.3} if name == "leaky_relu" else {}
    module = build(aggregation=aggregation, activation=name, **slope)
    wanted = expected(module, FEATURES.numpy(), adjacency(EDGES, NUM_NODES), name)
    found = module(FEATURES, GRAPH).detach()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("aggregation", ["sum", "sym", "max"])
def test_edge_features(aggregation):
    features = torch.randn(GRAPH.num_entries, 2, dtype=torch.float64)
    everywhere = np.zeros((NUM_NODES, NUM_NODES, 2))
    everywhere[GRAPH.row, GRAPH.col] = features.numpy()
    module = build(aggregation=aggregation, edge_width=2)
    a = adjacency(EDGES, NUM_NODES)
    wanted = expected(module, FEATURES.numpy(), a, edge_features=everywhere)
    found = module(FEATURES, GRAPH, None, features).detach()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="give edge_features if there is an edge_width"):
        module(FEATURES, GRAPH)
    with pytest.raises(ValueError, match="and only then"):
        build()(FEATURES, GRAPH, None, features)


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_gradients(options):
    module = build(**options)
    x = FEATURES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: module(x, GRAPH), x, fast_mode=True)
    module(x, GRAPH).square().sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in module.parameters())


def test_by_hand():
    """The path v - u - w with features u 1, v 2, w 3."""
    graph = Graph.from_edges(torch.tensor([[0, 0], [1, 2]]), 3)
    h = torch.tensor([[1.0], [2.0], [3.0]])
    wanted = {
        "sum": [10.5, 4.5, 6.5],
        "mean": [5.5, 4.5, 6.5],
        "sym": [7.571068, 3.328427, 4.742641],
        "max": [6.5, 4.5, 6.5],
    }
    for aggregation, values in wanted.items():
        module = SIR(1, 1, aggregation=aggregation)
        for name, value in [("query.weight", 1), ("query.bias", -1), ("key.weight", 1),
                            ("relation.weight", 2), ("relation.bias", 0.5)]:  # fmt: skip
            nn.init.constant_(module.get_parameter(name), value)
        torch.testing.assert_close(module(h, graph).flatten(), torch.tensor(values))


ENCODERS = {
    "sum": ({}, {"residual": False}),
    "sym": ({"aggregation": "sym", "own_term": False}, {}),
    "max": ({"aggregation": "max"}, {"jumping_knowledge": True}),
}


def encoder(options, **changed):
    given = {"num_features": WIDTH, "hidden": OUT, "layers": 2, "hidden_dropout": 0.0}
    torch.manual_seed(0)
    return build_encoder(convolution=sir_convolution(**options), **(given | changed)).double()


@pytest.mark.parametrize(("options", "changed"), ENCODERS.values(), ids=ENCODERS)
def test_a_receptive_field_gives_the_embeddings_of_the_whole_graph(options, changed):
    module = encoder(options, **changed)
    field = receptive_field(GRAPH, torch.tensor([0, 5, 7]), reach=1, layers=module.layers)
    inner = field.nodes[: field.graph.num_nodes]
    assert module.layers == 2 and len(inner) < NUM_NODES
    torch.testing.assert_close(
        module(FEATURES[field.nodes], field.layers), module(FEATURES, GRAPH)[inner]
    )


def test_dropout_acts_in_training_alone():
    """Of queries and keys, and of entries; the whole encoder is else without."""
    x, whole = FEATURES, encoder({})(FEATURES, GRAPH)
    for module in (encoder({"dropout": 0.5}), encoder({}, edge_dropout=0.5)):
        assert torch.equal(module.eval()(x, GRAPH), whole)
        assert not torch.equal(module.train()(x, GRAPH), module(x, GRAPH))


def test_nodes_without_neighbours_differ_by_their_own_term():
    x = FEATURES[:4]
    alone = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), 4)
    bare = {"layers": 1, "residual": False, "activate_single": False}
    assert len(encoder({"own_term": False}, **bare)(x, alone).unique(dim=0)) == 1
    assert len(encoder({}, **bare)(x, alone).unique(dim=0)) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negative_slope": 0.1}, r"negative_slope=0\.1 has no effect with .*activation=relu"),
        (
            {"bias_each": True, "relation_bias": False},
            "bias_each=true has no effect with relation_bias=false",
        ),
    ],
)
def test_settings_without_effect_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        encoder(options)


def test_bfloat16_sums_are_those_of_float32():
    """Where bfloat16 would have lost the small messages beside the large one."""
    hub = torch.stack((torch.zeros(999, dtype=torch.int64), torch.arange(1, 1000)))
    module = SIR(1, 1, query_bias=False, relation_bias=False)
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    x = torch.full((1000, 1), 0.5)
    x[0], x[1] = 0, 512
    with torch.autocast("cpu", torch.bfloat16):
        found = module(x, Graph.from_edges(hub, 1000)).detach()
    assert float(found[0]) == pytest.approx(512 + 998 / 2, rel=1e-2)


def dictionaries(count, keys, generator):
    """DictionaryLookup: of n queries and n entries (key, value), all linked; and the answers."""
    values = torch.stack([torch.randperm(keys, generator=generator) for _ in range(count)])
    one_hot = torch.eye(keys)
    queries = torch.cat((one_hot, torch.zeros(keys, keys)), 1).repeat(count, 1, 1)
    entries = torch.cat((one_hot.repeat(count, 1, 1), one_hot[values]), 2)
    features = torch.cat((queries, entries), 1).flatten(0, 1)
    u, v = torch.meshgrid(torch.arange(keys), keys + torch.arange(keys), indexing="ij")
    edges = torch.stack((u.flatten(), v.flatten()))
    shift = 2 * keys * torch.arange(count)
    edges = (edges[:, None] + shift[:, None]).flatten(1)
    asked = (torch.arange(keys) + shift[:, None]).flatten()
    return features, Graph.from_edges(edges, 2 * keys * count), asked, values.flatten()


def accuracy(option, changed, keys=10, steps=400):
    """On dictionaries not seen before; every step of training draws others too."""
    torch.manual_seed(0)
    seeded = torch.Generator().manual_seed(0)
    bare = {"hidden": 4 * keys, "layers": 1, "residual": False, "activate_single": False}
    encoder = as_shipped("encoder", option, bare | changed, num_features=2 * keys)
    head = nn.Linear(4 * keys, keys)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=0.01)
    for _ in range(steps):
        features, graph, asked, values = dictionaries(40, keys, seeded)
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(encoder(features, graph)[asked]), values).backward()
        optimizer.step()
    features, graph, asked, values = dictionaries(200, keys, seeded)
    with torch.no_grad():
        answers = head(encoder(features, graph)[asked]).argmax(1)
    return float((answers == values).float().mean())


@pytest.mark.soak
def test_it_looks_up_in_a_dictionary():
    """Brody et al. (2022), arXiv 2105.14491: how much an entry counts depends on the query."""
    wide = {"_target_": "runner.models.sir_gcn.sir_convolution", "message_width": 160}
    assert accuracy("sir_gcn", {"convolution": wide | {"own_term": False}}) == 1
    assert accuracy("gcn", {}) < 0.15
