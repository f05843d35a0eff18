"""Feature sets beside the nodes' own, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, arrays, linear, random_edges, relu
from tests.models.builders import HIDDEN, build_encoder

from runner.errors import RunnerError
from runner.models.convolution import GCN, PureGCN
from runner.models.neighbour_cvae import NeighbourCVAE
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows

WIDTH = 7
EDGES = random_edges(0)
GRAPH = Graph.from_edges(torch.from_numpy(EDGES), NUM_NODES)
FEATURES = torch.rand(NUM_NODES, WIDTH, generator=torch.manual_seed(0))
PLAIN = {"layer_norm": False, "hidden_dropout": 0.0, "activate_single": False}


def cvae(**changed):
    torch.manual_seed(3)
    return NeighbourCVAE(**{"num_features": WIDTH, "hidden": 4, "latent": 2, **changed})


def build(augment="some run", begin=True, **changed):
    torch.manual_seed(0)
    built = build_encoder(**{**PLAIN, "augment": augment, **changed})
    if begin and built.start is not None:
        built.begin(cvae())
    return built.eval()


def propagation():
    a = adjacency(EDGES, NUM_NODES) + np.eye(NUM_NODES)
    degree = a.sum(1)
    return a / np.sqrt(np.outer(degree, degree))


@pytest.mark.parametrize("convolution", [GCN, PureGCN])
def test_without_sets_it_is_the_plain_encoder_bit_for_bit(convolution):
    plain = build(None, convolution=convolution)
    none = build(augment_sets=0, convolution=convolution)
    some = build(augment_sets=2, convolution=convolution)
    assert list(none.state_dict()) == list(plain.state_dict())
    assert torch.equal(none(FEATURES, GRAPH), plain(FEATURES, GRAPH))
    for name, value in plain.state_dict().items():  # what they share starts alike
        assert torch.equal(some.state_dict()[name], value), name
    assert not torch.equal(some(FEATURES, GRAPH), plain(FEATURES, GRAPH))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("convolution", [GCN, PureGCN])
def test_a_sum_of_first_layer_maps(convolution, sparse):
    encoder = build(augment_sets=2, convolution=convolution)
    state, x = arrays(encoder), FEATURES.numpy()
    one, two = (s.numpy() for s in encoder.augmentation.source(FEATURES, GRAPH))
    assert not np.array_equal(one, two)
    first = "convolutions.0" if convolution is GCN else "input.1"
    own = "linear." if convolution is GCN else ""
    total = x @ state[f"{first}.{own}weight"].T + state[f"{first}.bias"]
    for number, features in enumerate((one, two)):
        name = f"augmentation.maps.{number}"
        total += features @ state[f"{name}.{own}weight"].T + state[f"{name}.bias"]
    biases = 0
    if convolution is GCN:  # added after the propagation
        names = ("convolutions.0", "augmentation.maps.0", "augmentation.maps.1")
        biases = sum(state[f"{name}.bias"] for name in names)
    expected = propagation() @ (total - biases) + biases
    given = SparseRows.from_dense(FEATURES) if sparse else FEATURES
    np.testing.assert_allclose(encoder(given, GRAPH).detach().numpy(), expected, atol=1e-5)


def test_side_by_side_they_stand_before_the_second_layer():
    """LAGCN: [ReLU(Â X W₀) ‖ ReLU(Â X' W₁)], then a convolution of both."""
    encoder = build(augment_join="concat", layers=2)
    state, p = arrays(encoder), propagation()
    (further,) = encoder.augmentation.source(FEATURES, GRAPH)
    assert state["convolutions.1.linear.weight"].shape == (HIDDEN, 2 * HIDDEN)
    found = [
        p @ linear(state, f"{name}.linear", x.numpy()) + state[f"{name}.bias"]
        for name, x in (("convolutions.0", FEATURES), ("augmentation.maps.0", further))
    ]
    expected = p @ linear(state, "convolutions.1.linear", relu(np.concatenate(found, axis=1)))
    expected += state["convolutions.1.bias"]
    np.testing.assert_allclose(encoder(FEATURES, GRAPH).detach().numpy(), expected, atol=1e-5)


def test_the_control_is_the_mean_of_the_neighbours_that_a_batch_may_see():
    encoder = build("mean_of_neighbours")
    a = adjacency(EDGES, NUM_NODES)
    a[0] = a[:, 0] = 0
    kept = (GRAPH.row != 0) & (GRAPH.col != 0)
    seen = GRAPH.keep(kept)
    (mean,) = encoder.augmentation.source(SparseRows.from_dense(FEATURES), seen)
    expected = a @ FEATURES.numpy() / np.maximum(a.sum(1, keepdims=True), 1)
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-6)
    assert encoder.start is None
    assert (encoder.layers, build().layers) == (None, 1)  # one of them knows its receptive field


def test_draws_are_fresh_in_training_and_fixed_in_evaluation():
    encoder = build()
    source = encoder.augmentation.source
    assert torch.equal(encoder(FEATURES, GRAPH), encoder(FEATURES, GRAPH))
    before = encoder.state_dict()["augmentation.source._extra_state"]
    encoder.train()
    first, second = source(FEATURES, GRAPH)[0], source(FEATURES, GRAPH)[0]
    assert not torch.equal(first, second) and not first.requires_grad
    source.set_extra_state(before)
    assert torch.equal(source(FEATURES, GRAPH)[0], first)
    other = build(augment_seed=1)
    assert not torch.equal(other(FEATURES, GRAPH), encoder.eval()(FEATURES, GRAPH))


def test_further_nodes_change_no_draw():
    source = build(augment_sets=3).augmentation.source
    few, many = (
        torch.stack(source(FEATURES[:count], GRAPH), dim=1) for count in (NUM_NODES - 3, NUM_NODES)
    )
    np.testing.assert_allclose(many[: len(few)], few, atol=1e-6)  # rounding of the product


def test_a_checkpoint_has_the_decoder_whatever_its_widths():
    encoder, empty = build(), build(begin=False)
    encoder.begin(cvae(hidden=9, latent=3, reconstruction="mse"))
    assert not any("decoder" in name for name in empty.state_dict())
    empty.load_state_dict(encoder.state_dict())
    assert torch.equal(empty(FEATURES, GRAPH), encoder(FEATURES, GRAPH))
    frozen = [name for name, p in empty.named_parameters() if not p.requires_grad]
    assert frozen and all("decoder" in name for name in frozen)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"augment": "mean_of_neighbours", "augment_sets": 2}, "there is one mean"),
        ({"augment": None, "augment_sets": 2}, "augment_sets=2: it has no effect without"),
        ({"augment": None, "augment_join": "concat"}, "augment_join=concat: it has no effect"),
        ({"augment_join": "concat"}, "stand side by side, for a second one"),
        ({"augment_join": "concat", "layers": 2, "convolution": PureGCN}, "side by side"),
        ({"num_categories": 5, "num_features": None}, "encoder.augment: neighbours' features"),
    ],
)
def test_what_has_no_effect_or_no_meaning_is_refused(given, message):
    with pytest.raises(RunnerError, match=message):
        build(**given)


def test_another_encoder_and_other_features_are_refused():
    with pytest.raises(RunnerError, match="generates no neighbours"):
        build(begin=False).begin(build_encoder())
    with pytest.raises(RunnerError, match="generates 4 features, and these nodes have 7"):
        build(begin=False).begin(cvae(num_features=4))
