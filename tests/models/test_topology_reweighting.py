"""Re-weighted messages against dense matrices, values by hand, and the release's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, random_edges
from tests.release_weights import load_release
from tests.releases.reference import (
    arguments_of,
    assert_close,
    fixed_input,
    forms_of,
    graph_of,
    read_reference,
    weights_of,
)
from tests.releases.shipped import as_shipped

from runner.audits.topology import weighted_concentration
from runner.errors import RunnerError
from runner.models.link_model import LinkModel
from runner.models.predictor import NoPredictor
from runner.models.topology_reweighting import TopologyReweighting, reweighted
from runner.ops.csr import Graph
from runner.ops.message_weights import MessageWeights

PAW = Graph.from_edges(torch.tensor([[0, 1, 0, 2], [1, 2, 2, 3]]))
ORIENTATIONS = ("centre", "release")


def matrix(weights, graph):
    """Dense: row i holds what i receives."""
    dense = torch.diag(weights.loops)
    dense[graph.row, graph.col.long()] = weights.entries
    return dense.double().numpy()


def test_weights_by_hand():
    logits = MessageWeights(torch.zeros(PAW.num_entries), torch.zeros(4))
    logits.entries[PAW.find(torch.tensor([[3], [2]]))] = math.log(3)  # what 3 gives 2
    given = {
        orientation: matrix(
            reweighted(
                MessageWeights.symmetric(PAW), logits, PAW, alpha=2.0, orientation=orientation
            ),
            PAW,
        )
        for orientation in ORIENTATIONS
    }
    release, centre = given["release"], given["centre"]
    of_release = {(2, 3): 1.3132, (3, 3): 1.2474, (2, 2): 0.8405, (0, 2): 0.8791, (2, 0): 0.9256}
    for place, value in of_release.items():
        assert release[place] == pytest.approx(value, abs=5e-5)
    np.testing.assert_allclose(centre, release.T, rtol=1e-6)
    own = matrix(MessageWeights.symmetric(PAW), PAW)
    np.testing.assert_allclose(centre.sum(1), 3 * own.sum(1), rtol=1e-6)


def encoder(kind, width=6, l2_normalise=False):
    changed = {
        "hidden": 16,
        "layers": 2,
        "layer_norm": False,
        "residual": False,
        "hidden_dropout": 0.0,
        "unit_length": l2_normalise,
    }
    return as_shipped("encoder", kind, changed, num_features=width)


def built(kind, graph, *, width=6, l2_normalise=False, **arguments):
    """A model with a re-weighting that stands at its start."""
    model = LinkModel(
        encoder(kind, width, l2_normalise),
        as_shipped("model", "hadamard_mlp", {"hidden": 16, "layers": 2, "dropout": 0.0}),
    )
    model.reweighting = TopologyReweighting(interval=1, warm_up=1, **arguments)
    model.reweighting.start(model.encoder, model.predictor, graph)
    return model.eval()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("kind", "source"), [("gcn", "sage"), ("sage", "gcn")])
def test_against_dense_matrices(kind, source, orientation, form):
    graph = Graph.from_edges(torch.from_numpy(random_edges(0)), NUM_NODES)
    n, x = graph.num_nodes, torch.randn(graph.num_nodes, 6, generator=torch.Generator())
    torch.manual_seed(0)
    model = built(kind, graph, alpha=1.5, source=source, orientation=orientation)
    closed = np.eye(n)
    closed[graph.row, graph.col.long()] = 1
    degree = closed.sum(1)
    bases = {"gcn": closed / np.sqrt(np.outer(degree, degree)), "sage": closed / degree[:, None]}
    current = bases[kind]
    for _ in range(2):  # the second starts from the embeddings of the first, not from its weights
        h = embedded(model.encoder, kind, x.double().numpy(), current)
        with torch.no_grad():
            np.testing.assert_allclose(model.encode(x, graph), h, rtol=1e-4, atol=1e-5)
        mixed = bases[source] @ h
        logits = mlp(model.predictor, mixed[:, None, :] * h[None, :, :])
        given = closed * np.exp(1 / (1 + np.exp(-logits)))  # row i: what i gives
        given /= given.sum(1, keepdims=True)
        if orientation == "centre":
            current = bases[kind] + 1.5 * given * bases[kind].sum(1)[:, None]
        else:
            current = bases[kind] + 1.5 * (given * bases[kind].sum(0)[:, None]).T
        model.reweighting.refresh(model, x, graph)
        np.testing.assert_allclose(
            matrix(model.reweighting.weights(graph), graph), current, rtol=1e-4, atol=1e-6
        )


def embedded(module, kind, x, weights):
    state = {name: value.detach().double().numpy() for name, value in module.named_parameters()}
    for layer in range(2):
        own = f"convolutions.{layer}."
        if kind == "gcn":
            x = weights @ x @ state[own + "linear.weight"].T + state[own + "bias"]
        else:
            own += "layer."
            x = (
                weights @ x @ state[own + "lin_l.weight"].T
                + state[own + "lin_l.bias"]
                + x @ state[own + "lin_r.weight"].T
            )
        x = np.maximum(x, 0) if layer == 0 else x
    return x


def mlp(module, x):
    first, last = (layer for layer in module.mlp if isinstance(layer, torch.nn.Linear))
    (a, b), (c, d) = (
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
        for layer in (first, last)
    )
    return (np.maximum(x @ a.T + b, 0) @ c.T + d).squeeze(-1)


@pytest.mark.parametrize("form_of_release", [f for f in forms_of("tc") if "reweight" in str(f)])
def test_release(form_of_release):
    name = form_of_release
    release = read_reference("tc")
    arguments = arguments_of(release, name)
    whole, x, _, _ = fixed_input()
    graph = graph_of(release[f"{arguments['split']}/train"], whole.num_nodes)
    model = built(
        arguments["encoder"],
        graph,
        width=x.size(1),
        l2_normalise=arguments["l2_normalise"],
        alpha=arguments["alpha"],
        source=arguments["source"],
        orientation=arguments["orientation"],
    )
    reweighting, model.reweighting = model.reweighting, None
    load_release(model, weights_of(release, name))
    model.reweighting = reweighting

    def compare(weights, embeddings):
        found = matrix(reweighting.weights(graph), graph)[tuple(release[f"{name}/index"])]
        assert_close(torch.from_numpy(found), release[f"{name}/{weights}"])
        with torch.no_grad():
            found = model.encode(x, graph)
        assert_close(found, release[f"{name}/{embeddings}"], by_column=embeddings == "after")

    compare("base", "before")
    reweighting.refresh(model, x, graph)
    compare("reweighted", "after")
    given = reweighting.weights(graph)  # the release counts what a node gives
    if arguments["orientation"] == "release":
        given = given.transposed(graph)
    assert_close(weighted_concentration(graph, given.entries), release[f"{name}/tc_train"])


def test_rows_of_length_one():
    model = built("sage", PAW, l2_normalise=True, alpha=1.0, source="gcn", orientation="centre")
    x = torch.randn(4, 6, generator=torch.Generator())
    first, last = model.encoder.every_layer(x, PAW)
    torch.testing.assert_close(last.norm(dim=1), torch.ones(4))
    expected = torch.nn.functional.normalize(model.encoder.convolutions[0](x, PAW), dim=1).relu()
    torch.testing.assert_close(first, expected)


def test_without_a_share_of_scores_messages_stay_as_they_were():
    graph, x = PAW, torch.randn(4, 6, generator=torch.Generator())
    model = built("gcn", graph, alpha=0.0, source="gcn", orientation="centre")
    model.reweighting.refresh(model, x, graph)
    with torch.no_grad():
        torch.testing.assert_close(model.encode(x, graph), model.encoder(x, graph))


def test_state_is_that_of_the_model():
    x = torch.randn(4, 6, generator=torch.Generator())
    arguments = {"alpha": 2.0, "source": "gcn", "orientation": "centre"}
    model = built("gcn", PAW, **arguments)
    model.reweighting.refresh(model, x, PAW)
    other = LinkModel(
        model.encoder,
        model.predictor,
        reweighting=TopologyReweighting(interval=1, warm_up=1, **arguments),
    )
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(other.encode(x, PAW), model.encode(x, PAW))
    with pytest.raises(RunnerError, match=r"train\.reweight: only the links of the training graph"):
        other.encode(x, Graph.from_edges(torch.tensor([[0, 1, 0, 1], [1, 2, 2, 3]])))


def test_it_is_due_after_epochs_of_the_interval():
    reweighting = TopologyReweighting(
        alpha=1.0, interval=3, warm_up=5, source="gcn", orientation="centre"
    )
    assert [epoch for epoch in range(1, 13) if reweighting.due(epoch)] == [6, 9, 12]


@pytest.mark.parametrize(
    ("kind", "predictor", "message"),
    [
        ("gin", None, "encoder=gcn, sage or puregcn"),
        ("gcn", ("ncn", {"hidden": 16}), "model=hadamard_mlp"),
        ("gcn", NoPredictor(), "model=hadamard_mlp"),
    ],
)
def test_refusals(kind, predictor, message):
    if predictor is None:
        predictor = as_shipped("model", "hadamard_mlp", {"hidden": 16})
    elif isinstance(predictor, tuple):
        predictor = as_shipped("model", *predictor)
    reweighting = TopologyReweighting(
        alpha=1.0, interval=1, warm_up=1, source="gcn", orientation="centre"
    )
    with pytest.raises(RunnerError, match=message):
        reweighting.start(encoder(kind), predictor, PAW)
