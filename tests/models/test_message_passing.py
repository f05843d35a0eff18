from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import (
    NUM_NODES,
    adjacency,
    arrays,
    encoder,
    plain_gnn,
    random_edges,
)
from tests.grids import every_pair
from tests.models.builders import build_encoder
from torch import nn

from runner.models.convolution import (
    GCN,
    GIN,
    SAGE,
    Convolution,
    PureGCN,
    PureMax,
    PureMean,
    PureSum,
)
from runner.models.encoder import NoEncoder
from runner.models.mlp import Dropout
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field
from runner.ops.sparse_rows import SparseRows

ALL = (GCN, GIN, SAGE, PureGCN, PureMax, PureMean, PureSum)
WIDTH, HIDDEN, CATEGORIES = 7, 5, 11
EDGES = random_edges(0)
GRAPH = Graph.from_edges(torch.from_numpy(EDGES), NUM_NODES)
FEATURES = torch.from_numpy(np.random.default_rng(1).normal(size=(NUM_NODES, WIDTH)))
IDS = torch.from_numpy(np.random.default_rng(1).integers(0, CATEGORIES, NUM_NODES))


def build(convolution=GCN, layers=1, **changed):
    torch.manual_seed(0)
    given = {"num_features": WIDTH, "hidden": HIDDEN, **changed}
    return build_encoder(convolution=convolution, layers=layers, **given).double()


def perturbed(module):
    """Zero biases and unit scales would hide mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


PLAIN = {"layer_norm": False, "residual": False, "activate_single": False}


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("hidden", [HIDDEN, WIDTH])
def test_a_plain_gnn_is_convolutions_and_relus_alone(layers, hidden):
    """A layer of equal width too, where a residual would be added."""
    module = perturbed(build(layers=layers, hidden=hidden, **PLAIN))
    a = adjacency(EDGES, NUM_NODES)
    expected = plain_gnn(arrays(module), FEATURES.numpy(), a, layers=layers)
    assert (expected < 0).any()
    np.testing.assert_allclose(module(FEATURES, GRAPH).detach(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_plain_gnn_drops_between_its_layers_alone(layers):
    module = build(layers=layers, hidden_dropout=0.5, **PLAIN)
    whole = module.eval()(FEATURES, GRAPH)
    assert torch.equal(module.train()(FEATURES, GRAPH), whole) == (layers == 1)
    with torch.no_grad():
        module.convolutions[-1].bias.fill_(100.0)  # no value of it can become 0, unless dropped
    assert bool((module(FEATURES, GRAPH) > 0).all())


@every_pair(
    convolution=ALL, layers=[0, 1, 2, 3], residual=[False, True], jumping_knowledge=[False, True]
)
def test_against_a_dense_matrix(convolution, layers, residual, jumping_knowledge):
    form = {"residual": residual, "jumping_knowledge": jumping_knowledge}
    for features, categories in ((FEATURES, None), (IDS, CATEGORIES)):
        module = perturbed(build(convolution, layers, num_categories=categories, **form))
        out = module(features, GRAPH)
        expected = encoder(
            convolution.__name__,
            arrays(module),
            features.numpy(),
            adjacency(EDGES, NUM_NODES),
            layers=layers,
            residual=residual,
        )
        assert out.shape == (NUM_NODES, HIDDEN)
        np.testing.assert_allclose(out.detach().numpy(), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("layers", [0, 1])
@pytest.mark.parametrize("convolution", [GCN, PureGCN])
def test_sparse_features_give_the_same(convolution, layers):
    module = perturbed(build(convolution, layers))
    features = FEATURES * (FEATURES > 0.5)
    upstream = torch.randn(NUM_NODES, HIDDEN, dtype=torch.float64)
    results = []
    for given in (features, SparseRows.from_dense(features)):
        out = module(given, GRAPH)
        results.append((out, *torch.autograd.grad(out, list(module.parameters()), upstream)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_input_dropout_of_sparse_features():
    """In training it drops entries and scales the rest; in evaluation it is off."""
    module = build(PureGCN, 0, input_dropout=0.5)
    with torch.no_grad():
        module.input[1].weight.fill_(1.0)
        module.input[1].bias.zero_()
    features = SparseRows.from_dense(torch.ones(NUM_NODES, WIDTH, dtype=torch.float64))
    assert bool((module.eval()(features, GRAPH) == WIDTH).all())
    out = module.train()(features, GRAPH)
    assert set((out / 2).flatten().tolist()) <= set(map(float, range(WIDTH + 1)))
    assert 0.5 * WIDTH < out.mean() < 1.5 * WIDTH


def test_no_encoder_has_no_embeddings():
    module = NoEncoder(num_features=3, num_categories=None)
    assert module(FEATURES, GRAPH).shape == (NUM_NODES, 0)
    assert not list(module.parameters())


def test_layer_norm_can_be_left_out():
    module = perturbed(build(GCN, 2, layer_norm=False))
    assert not any(isinstance(part, nn.LayerNorm) for part in module.modules())
    expected = encoder(
        "GCN",
        arrays(module),
        FEATURES.numpy(),
        adjacency(EDGES, NUM_NODES),
        layers=2,
        residual=False,
    )
    np.testing.assert_allclose(module(FEATURES, GRAPH).detach().numpy(), expected, atol=1e-8)


@pytest.mark.parametrize("convolution", [PureGCN, PureSum])
def test_no_layer_norm_in_pure_encoders(convolution):
    assert not any(isinstance(part, nn.LayerNorm) for part in build(convolution, 3).modules())


def test_residual_only_where_widths_agree():
    """A GCN's first layer maps F to H: the residual acts on it only if F = H."""
    plain, residual = build(GCN, 1), build(GCN, 1, residual=True)
    assert torch.equal(plain(FEATURES, GRAPH), residual(FEATURES, GRAPH))
    plain, residual = build(GCN, 1, hidden=WIDTH), build(GCN, 1, hidden=WIDTH, residual=True)
    torch.testing.assert_close(residual(FEATURES, GRAPH), plain(FEATURES, GRAPH) + FEATURES)


def test_embedding_is_orthogonal_and_ignores_num_features():
    module = build(PureGCN, 1, num_features=999, num_categories=HIDDEN)
    embedding = module.input[0].weight
    identity = torch.eye(HIDDEN, dtype=torch.float64)
    torch.testing.assert_close(embedding @ embedding.T, identity, atol=1e-5, rtol=0)
    assert not any(isinstance(part, nn.Linear) for part in module.modules())


def test_jumping_knowledge_weights_are_standard_normal():
    drawn = build(PureSum, 200, jumping_knowledge=True).layer_weights
    assert abs(drawn.mean().item()) < 0.25
    assert abs(drawn.std().item() - 1) < 0.2


def test_no_jumping_knowledge_without_layers():
    module = build(GCN, 0, jumping_knowledge=True)
    assert module.layer_weights is None
    assert module(FEATURES, GRAPH).shape == (NUM_NODES, HIDDEN)


def acts_in_training(module, features):
    """Whether the output in training differs from that in evaluation."""
    with torch.no_grad():
        expected = module.eval()(features, GRAPH)
        return bool((module.train()(features, GRAPH) != expected).any())


@pytest.mark.parametrize(
    ("rate", "convolution", "layers", "categories", "acts"),
    [
        ("input_dropout", GCN, 1, None, True),
        ("input_dropout", PureGCN, 1, None, True),
        ("input_dropout", PureGCN, 0, None, True),
        ("input_dropout", GCN, 1, CATEGORIES, False),
        ("input_dropout", PureGCN, 1, CATEGORIES, False),
        ("hidden_dropout", GCN, 1, None, True),
        ("hidden_dropout", GCN, 2, None, True),
        ("hidden_dropout", PureGCN, 1, None, True),
        ("hidden_dropout", GCN, 0, None, True),
        ("hidden_dropout", GCN, 0, CATEGORIES, True),
        ("output_dropout", PureGCN, 1, None, True),
        ("output_dropout", PureGCN, 3, None, True),
        ("output_dropout", PureGCN, 0, None, False),
        ("output_dropout", GCN, 1, None, False),
        ("output_dropout", SAGE, 2, None, False),
        ("edge_dropout", GCN, 1, None, True),
        ("edge_dropout", PureSum, 1, None, True),
        ("edge_dropout", GCN, 0, None, False),
    ],
)
def test_where_a_rate_acts(rate, convolution, layers, categories, acts):
    module = build(convolution, layers, num_categories=categories, **{rate: 0.5})
    assert acts_in_training(module, FEATURES if categories is None else IDS) is acts


def test_output_dropout_follows_the_last_layer_only():
    module = build(PureSum, 3, output_dropout=1.0)
    with torch.no_grad():
        assert not module(FEATURES, GRAPH).any()
    kinds = [type(activation) for activation in module.activations]
    assert kinds == [nn.Identity, nn.Identity, Dropout]


def test_hidden_dropout_stands_between_norm_and_relu():
    module = build(GCN, 3, hidden_dropout=0.25)
    kinds = [[type(part) for part in a] for a in module.activations[:2]]
    assert kinds == [[nn.LayerNorm, nn.Dropout, nn.ReLU]] * 2
    assert type(module.activations[2]) is nn.Identity
    assert [len(module.input), module.input[0].p] == [1, 0.0]


class Recorder(Convolution):
    """Returns its input; remembers the graph and the weights it was given."""

    has_weights = False
    calls: list = []  # noqa: RUF012

    def forward(self, x, graph, weight=None):
        self.calls.append((graph, weight))
        return x


def test_edge_dropout_is_drawn_anew_in_every_layer_and_scaled():
    Recorder.calls.clear()
    module = build(Recorder, 3, edge_dropout=0.4)
    module(FEATURES, GRAPH)
    keys = [graph.key for graph, _ in Recorder.calls]
    assert not torch.equal(keys[0], keys[1])
    assert not torch.equal(keys[1], keys[2])
    for graph, weight in Recorder.calls:
        assert 0 < graph.num_entries < GRAPH.num_entries
        torch.testing.assert_close(weight, torch.full_like(weight, 1 / 0.6))
        assert weight.shape == (graph.num_entries,)
    Recorder.calls.clear()
    module.eval()(FEATURES, GRAPH)
    assert [(graph is GRAPH, weight) for graph, weight in Recorder.calls] == [(True, None)] * 3


def test_normalisation_sees_the_scaled_entries():
    """Dropout of p on the complete graph: GCN's degree is 1 + kept / (1 - p)."""
    module = build(PureGCN, 1, edge_dropout=0.5)
    module.input = nn.Identity()
    torch.manual_seed(3)
    out = module(FEATURES, GRAPH)
    torch.manual_seed(3)
    kept = torch.rand(GRAPH.num_entries) >= 0.5
    a = np.zeros((NUM_NODES, NUM_NODES))
    a[GRAPH.row[kept], GRAPH.col[kept]] = 2
    scale = 1 / np.sqrt(1 + a.sum(1))
    expected = scale[:, None] * ((a + np.eye(NUM_NODES)) * scale) @ FEATURES.numpy()
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-10)


def test_relabelling_the_nodes_relabels_the_output():
    order = torch.randperm(NUM_NODES, generator=torch.manual_seed(0))
    relabelled = Graph.from_edges(order[torch.from_numpy(EDGES)], NUM_NODES)
    features = torch.empty_like(FEATURES)
    features[order] = FEATURES
    for convolution in (GCN, PureGCN, SAGE):
        module = build(convolution, 2, residual=True)
        torch.testing.assert_close(module(features, relabelled)[order], module(FEATURES, GRAPH))


def test_gradient():
    module = build(GCN, 2, hidden=WIDTH, residual=True, jumping_knowledge=True)
    parameters = dict(module.named_parameters())

    def output(*values):
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(module, named, (FEATURES, GRAPH))

    assert torch.autograd.gradcheck(output, tuple(parameters.values()), fast_mode=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": -1}, "layers must be at least 0, got -1"),
        ({"edge_dropout": 1.0}, r"edge_dropout must be in \[0, 1\), got 1.0"),
        ({"hidden_dropout": 1.5}, "1.5"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        build(**change)


TARGETS = torch.tensor([0, 5, 7])
FIELDS = 300  # side by side in one graph, so that a call draws each of them


def field_of(layers, graph=GRAPH, targets=TARGETS, **given):
    return receptive_field(graph, targets, reach=1, layers=layers, **given)


def side_by_side():
    """Copies of the graph, their targets and their features."""
    shift = NUM_NODES * torch.arange(FIELDS)
    edges = torch.from_numpy(EDGES).unsqueeze(1) + shift.unsqueeze(1)
    graph = Graph.from_edges(edges.flatten(1), FIELDS * NUM_NODES)
    targets = (TARGETS + shift.unsqueeze(1)).flatten()
    return graph, targets, FEATURES[:, :HIDDEN].repeat(FIELDS, 1)


def test_copies_side_by_side_are_the_graph():
    graph, targets, features = side_by_side()
    field, one = field_of(2, graph, targets), field_of(2)
    inner, of_one = field.nodes[: field.graph.num_nodes], one.nodes[: one.graph.num_nodes]
    assert torch.equal(inner.view(FIELDS, -1) % NUM_NODES, of_one.expand(FIELDS, -1))
    module = build(PureGCN, 2, num_features=HIDDEN)
    copies = module(features, graph).view(FIELDS, NUM_NODES, HIDDEN)
    whole = module(FEATURES[:, :HIDDEN], GRAPH)
    torch.testing.assert_close(copies, whole.expand_as(copies))


@every_pair(
    form=["compiled", "plain"],
    convolution=ALL,
    layers=[0, 1, 3],
    jumping_knowledge=[False, True],
    indirect=["form"],
)
def test_a_receptive_field_gives_the_embeddings_of_the_whole_graph(
    form, convolution, layers, jumping_knowledge
):
    module = perturbed(
        build(convolution, layers, residual=True, jumping_knowledge=jumping_knowledge)
    )
    field = field_of(layers)
    inner = field.nodes[: field.graph.num_nodes]
    results = []
    for features, graph, rows in (
        (FEATURES, GRAPH, inner),
        (FEATURES[field.nodes], field.layers, torch.arange(len(inner))),
    ):
        features = features.clone().requires_grad_()
        h = module(features, graph)[rows]
        upstream = torch.arange(1.0, h.numel() + 1).view_as(h).double()
        own = [p for p in module.parameters()]
        gradients = torch.autograd.grad(h, [features, *own], upstream, allow_unused=True)
        results.append((h, *gradients))
    (h, of_features, *others), (h_local, of_rows, *others_local) = results
    torch.testing.assert_close(h_local, h)
    torch.testing.assert_close(of_rows, of_features[field.nodes])
    for one, other in zip(others, others_local, strict=True):
        torch.testing.assert_close(other, one)


@pytest.mark.parametrize("convolution", [PureSum, PureGCN, PureMean])
def test_sampled_neighbours_leave_the_mean_where_it_was(convolution):
    """One layer is linear in what is sampled; of two, weights are drawn apart."""
    module = build(convolution, 1, num_features=HIDDEN).eval()
    graph, targets, features = side_by_side()
    torch.manual_seed(0)
    draws = []
    for _ in range(4):
        field = field_of(1, graph, targets, fan_outs=[2])
        h = module(features[field.nodes], field.layers)
        draws.append(h.view(FIELDS, -1, HIDDEN))
    draws = torch.cat(draws).detach()
    inner = field_of(1)
    whole = module(FEATURES[:, :HIDDEN], GRAPH)[inner.nodes[: inner.graph.num_nodes]]
    error = draws.std(0) / len(draws) ** 0.5
    assert (draws.std(0) > 0.01).any()
    assert ((draws.mean(0) - whole).abs() <= 5 * error + 1e-9).all()


@pytest.mark.parametrize("convolution", [PureGCN, PureSum, PureMean])
def test_edge_dropout_has_the_distribution_of_the_whole_graph(convolution):
    module = build(convolution, 2, num_features=HIDDEN, edge_dropout=0.4)
    graph, targets, features = side_by_side()
    field = field_of(2, graph, targets)
    inner = field.nodes[: field.graph.num_nodes]
    shape = (FIELDS, -1, HIDDEN)
    torch.manual_seed(0)
    with torch.no_grad():
        whole = torch.cat([module(features, graph)[inner].view(shape) for _ in range(4)])
        local = torch.cat(
            [module(features[field.nodes], field.layers).view(shape) for _ in range(4)]
        )
    error = (whole.var(0) / 1200 + local.var(0) / 1200).sqrt()
    assert ((whole.mean(0) - local.mean(0)).abs() <= 5 * error + 1e-9).all()
    assert ((whole.std(0) - local.std(0)).abs() <= 0.15 * whole.std(0) + 1e-9).all()
