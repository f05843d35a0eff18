"""LayerLocal and LayerMean against dense matrices, and the sheet's numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges
from torch.nn.functional import softplus

from runner.models.convolution import GCN, SAGE, PureGCN
from runner.models.inner_product import InnerProduct
from runner.models.layer_local import LayerLocal
from runner.models.layer_mean import LayerMean
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field
from runner.ops.sparse_rows import SparseRows

EDGES = random_edges(0)
GRAPH = Graph.from_edges(torch.from_numpy(EDGES), NUM_NODES)
FEATURES = torch.from_numpy(np.random.default_rng(1).normal(size=(NUM_NODES, 7)))
FEATURES[3] = 0  # has no length
PAIRS = torch.tensor([[0, 1, 2, 3], [4, 3, 9, 3]])


def build(layers=3, convolution=GCN):
    torch.manual_seed(0)
    encoder = LayerLocal(num_features=7, hidden=5, layers=layers, convolution=convolution)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return encoder.double()


def dense(encoder, layers):
    """Outputs of the first layers, by matrices."""
    a = adjacency(EDGES, NUM_NODES)
    looped = a + np.eye(NUM_NODES)
    root = np.diag(looped.sum(axis=1) ** -0.5)
    mean = a / np.maximum(a.sum(axis=1, keepdims=True), 1)
    x, outputs = FEATURES.numpy(), []
    for own in list(encoder.convolutions)[:layers]:
        x = x / (np.sqrt((x**2).sum(axis=1, keepdims=True)) + 1e-8)
        w = {name: value.detach().numpy() for name, value in own.named_parameters()}
        if isinstance(own, GCN):
            x = root @ looped @ root @ x @ w["linear.weight"].T + w["bias"]
        else:
            neighbours = mean @ x @ w["layer.lin_l.weight"].T + w["layer.lin_l.bias"]
            x = neighbours + x @ w["layer.lin_r.weight"].T
        x = np.maximum(x, 0)
        outputs.append(x)
    return outputs


@pytest.mark.parametrize("convolution", [GCN, SAGE])
def test_layers_stand_side_by_side(convolution, form):
    encoder = build(convolution=convolution)
    for used in (3, 1, 2):
        encoder.learn(used - 1)
        found = encoder(FEATURES, GRAPH).detach().numpy()
        np.testing.assert_allclose(found, np.hstack(dense(encoder, used)), atol=1e-12)
    few = FEATURES * (FEATURES > 0)
    sparse = encoder(SparseRows.from_dense(few), GRAPH)
    torch.testing.assert_close(sparse, encoder(few, GRAPH))


def test_a_part_of_the_graph_gives_the_same_embeddings():
    encoder = build()
    field = receptive_field(GRAPH, torch.tensor([0, 5, 7]), reach=1, layers=encoder.layers)
    for used in (3, 2):
        encoder.learn(used - 1)
        local = encoder(FEATURES[field.nodes], field.layers)
        rows = field.nodes[: local.size(0)]
        assert torch.allclose(local, encoder(FEATURES, GRAPH)[rows], atol=1e-12)


def test_one_layer_alone_has_a_gradient():
    encoder = build()
    encoder.learn(1)
    encoder(FEATURES, GRAPH).sum().backward()
    has = [all(p.grad is not None for p in c.parameters()) for c in encoder.convolutions]
    none = [all(p.grad is None for p in c.parameters()) for c in encoder.convolutions]
    assert (has, none) == ([False, True, False], [True, False, True])


def test_ids_have_rows_that_learn_with_the_first_layer():
    encoder = LayerLocal(num_categories=NUM_NODES, hidden=5, layers=2)
    encoder.learn(1)
    assert not any(p.requires_grad for p in encoder.input.parameters())
    encoder.learn(0)
    encoder(torch.arange(NUM_NODES), GRAPH).sum().backward()
    assert encoder.input.embedding.weight.grad.abs().sum() > 0


def test_the_number_of_layers_in_use_is_a_part_of_the_weights():
    encoder, other = build(), build()
    encoder.learn(0)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(FEATURES, GRAPH), encoder(FEATURES, GRAPH))


def test_a_convolution_without_weights_is_refused():
    with pytest.raises(ValueError, match=r"encoder\.convolution: PureGCN has no weights"):
        LayerLocal(num_features=5, hidden=5, convolution=PureGCN)


@pytest.mark.parametrize("threshold", [None, 2.0])
def test_a_score_is_the_logit_of_the_mean_probability(threshold, form):
    h = FEATURES[:, :6]
    found = LayerMean(hidden=3, threshold=threshold)(h, GRAPH, PAIRS).numpy()
    x = h.numpy()[PAIRS[0]] * h.numpy()[PAIRS[1]]
    blocks = np.stack([x[:, :3], x[:, 3:]])
    scores = blocks.sum(axis=2) if threshold is None else (blocks**2).sum(axis=2) - threshold
    p = (1 / (1 + np.exp(-scores))).mean(axis=0)
    np.testing.assert_allclose(found, np.log(p / (1 - p)), atol=1e-12)


def test_the_release_ranks_alike():
    """It divides the sum of the layers' probabilities by twice their number."""
    h = FEATURES[:, :6]
    pairs = torch.combinations(torch.arange(NUM_NODES)).T
    ours = LayerMean(hidden=3)(h, GRAPH, pairs)
    product = (h[pairs[0]] * h[pairs[1]]).unflatten(1, (2, 3)).sum(2)
    released = product.sigmoid().sum(1) / 4
    assert torch.equal(ours.argsort(), released.argsort()) and released.max() <= 0.5


def test_scores_where_a_probability_is_one_do_not_tie():
    h = torch.tensor([[20.0, 30.0], [1.0, 1.0], [2.0, 1.0]])
    logits = LayerMean(hidden=1)(
        h, Graph.from_edges(PAIRS[:, :0], 3), torch.tensor([[0, 0], [1, 2]])
    )
    assert logits[1] > logits[0] > 20


def test_the_sheet_of_numbers():
    links = Graph.from_edges(torch.tensor([[0], [1]]), 2)
    pair = torch.tensor([[0], [1]])
    goodness = [
        LayerMean(hidden=2, threshold=2.0)(torch.tensor([row, [1.0, 1.0]]), links, pair)
        for row in ([1.0, 2.0], [0.0, 1.0])
    ]
    assert torch.cat(goodness).tolist() == [3.0, -1.0]
    logits = torch.cat(goodness)
    assert softplus(-logits).mean().item() == pytest.approx(0.6809245)
    assert softplus(logits).mean().item() == pytest.approx(1.6809245)


def test_one_layer_is_an_inner_product_to_the_bit(form):
    h = FEATURES.float()
    assert torch.equal(LayerMean(hidden=7)(h, GRAPH, PAIRS), InnerProduct()(h, GRAPH, PAIRS))
