from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges
from tests.models.builders import build_encoder, predictor
from tests.runner import toy
from torch import nn

from runner.errors import RunnerError
from runner.models.link_model import LinkModel
from runner.ops.csr import Graph
from runner.training.encoding import FullEncoding
from runner.training.generators import Generators
from runner.training.negatives import NoNegatives
from runner.training.objective import DenseReconstruction, Step
from runner.training.ranks import Ranks
from runner.training.samplers import Batch, NoLinks
from runner.training.task import Inputs

EDGES = random_edges(0)
GRAPH = Graph.from_edges(torch.from_numpy(EDGES), NUM_NODES)
FEATURES = torch.randn(NUM_NODES, 7, dtype=torch.float64, generator=torch.manual_seed(0))
NONE = torch.zeros(2, 0, dtype=torch.int64)


class Half(Ranks):
    """One of two processes."""

    size = 2

    def __init__(self, rank):
        self.rank = rank

    def share(self, pairs):
        return pairs.tensor_split(2, dim=1)[self.rank]


def step(model, ranks=None):
    batch = Batch(GRAPH, NONE, NONE)
    seen = FullEncoding().view(Inputs(FEATURES, GRAPH), batch)
    return Step(model, batch, seen, *([ranks] if ranks else []))


def build():
    torch.manual_seed(0)
    return LinkModel(build_encoder(layer_norm=False), predictor("inner_product")).double()


def gradients(model, *ranks):
    for parameter in model.parameters():
        parameter.grad = None
    losses = [DenseReconstruction().loss(step(model, own)) for own in ranks or (None,)]
    sum(losses).backward()
    return sum(losses).item(), [parameter.grad.clone() for parameter in model.parameters()]


def test_the_loss_is_the_mean_cross_entropy_of_all_entries():
    model = build()
    h = model.encode(FEATURES, GRAPH).detach().numpy()
    p, a = 1 / (1 + np.exp(-h @ h.T)), adjacency(EDGES, NUM_NODES)
    assert a.diagonal().sum() == 0
    expected = -np.mean(a * np.log(p) + (1 - a) * np.log(1 - p))
    assert gradients(model)[0] == pytest.approx(expected, rel=1e-12)


def test_the_gradient_is_that_of_the_dense_loss():
    model = build()
    found = gradients(model)[1]
    h = model.encode(FEATURES, GRAPH)
    target = torch.from_numpy(adjacency(EDGES, NUM_NODES))
    dense = nn.functional.binary_cross_entropy_with_logits(h @ h.T, target)
    for one, other in zip(found, torch.autograd.grad(dense, model.parameters()), strict=True):
        torch.testing.assert_close(one, other)


def test_the_shares_of_processes_add_up():
    whole, shared = gradients(build()), gradients(build(), Half(0), Half(1))
    assert shared[0] == pytest.approx(whole[0], rel=1e-12)
    for one, other in zip(whole[1], shared[1], strict=True):
        torch.testing.assert_close(one, other)


def test_one_batch_an_epoch_draws_nothing():
    generators = Generators(batches=0, negatives=0, dropout=0)
    before = generators.draws()
    sampler = NoLinks(
        batch_size=None,
        graph=GRAPH,
        targets=torch.from_numpy(EDGES),
        negatives=NoNegatives(),
        generators=generators,
    )
    (batch,) = sampler.epoch()
    assert len(sampler) == 1 and batch.graph is GRAPH
    assert batch.positives.shape == batch.negatives.shape == (2, 0)
    assert list(sampler.epoch(skip=1)) == []
    assert all(torch.equal(before[name], state) for name, state in generators.draws().items())


class Data:
    num_nodes, num_sources, new_nodes = 10, None, ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, None),
        ({"num_nodes": 11}, "objective.most_nodes=10: .* of this graph 121 a step; raise it"),
        ({"num_sources": 4}, "two nodes of one side too"),
        ({"new_nodes": (3,)}, "held-out nodes too"),
    ],
)
def test_a_graph_is_refused_by_the_key_that_decides(changed, message):
    data = Data()
    for name, value in changed.items():
        setattr(data, name, value)
    objective, model = DenseReconstruction(most_nodes=10), build()
    if message is None:
        objective.check(model, data)
        return
    with pytest.raises(RunnerError, match=message):
        objective.check(model, data)


def test_a_predictor_that_it_would_not_train_is_refused():
    model = LinkModel(toy.Sums(0.0), toy.Product(0.0))
    with pytest.raises(RunnerError, match="give model=inner_product"):
        DenseReconstruction().check(model, Data())
