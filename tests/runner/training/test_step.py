import math

import pytest
import torch

from runner.models.convolution import GCN
from runner.models.gae import GAE
from runner.models.link_model import LinkModel
from runner.models.message_passing import MessagePassing
from runner.models.predictor import Predictor
from runner.ops.csr import Graph
from runner.training.encoding import FullEncoding
from runner.training.objective import LinkPrediction, Step
from runner.training.optimizers import build_optimizer
from runner.training.samplers import Batch
from runner.training.step import NotFinite
from runner.training.step import train_step as update
from runner.training.task import Inputs


def train_step(model, features, batch, optimizer, clip_norm):
    seen = FullEncoding().view(Inputs(features, batch.whole), batch)
    return update(LinkPrediction(), Step(model, batch, seen), optimizer, clip_norm)


@pytest.fixture
def scene():
    torch.manual_seed(0)
    encoder = MessagePassing(
        num_features=4, num_categories=None, hidden=8, layers=1, convolution=GCN, residual=False,
        jumping_knowledge=False, layer_norm=True, input_dropout=0.0, hidden_dropout=0.0,
        output_dropout=0.0, edge_dropout=0.0,
    )  # fmt: skip
    predictor = GAE(hidden=8, dropout=0.0, last_linear=False, two_layer_head=False, layer_norm=True)
    model = LinkModel(encoder, predictor)
    optimizer = build_optimizer(model, lr_encoder=0.01, lr_predictor=0.02)
    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
    batch = Batch(Graph.from_edges(edges, 6), edges, torch.tensor([[0, 5, 1, 5], [3, 2, 4, 0]]))
    return model, torch.randn(6, 4), batch, optimizer


def test_loss_is_the_mean_softplus_of_both_sides(scene):
    model, features, batch, optimizer = scene
    with torch.no_grad():
        positive = model(features, batch.graph, batch.positives)
        negative = model(features, batch.graph, batch.negatives)
    expected = sum(math.log1p(math.exp(-x)) for x in positive.tolist()) / 4
    expected += sum(math.log1p(math.exp(x)) for x in negative.tolist()) / 4
    loss, norm = train_step(model, features, batch, optimizer, None)
    assert loss == pytest.approx(expected, rel=1e-5)
    gradients = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert norm == pytest.approx(gradients.norm().item(), rel=1e-5)


class Together(Predictor):
    """Scores each side of a step in a call of its own, and remembers the calls."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def calls(self, positives, negatives):
        return [positives, negatives]

    def forward(self, h, view, pairs):
        self.seen.append(pairs)
        return pairs[0].double()


def test_a_predictor_says_in_which_calls_a_step_scores_its_pairs(scene):
    model, features, batch, _ = scene
    model = LinkModel(model.encoder, Together())
    step = Step(model, batch, FullEncoding().view(Inputs(features, batch.whole), batch))
    positive, negative = step.logits()
    assert [pairs.tolist() for pairs in model.predictor.seen] == [
        batch.positives.tolist(), batch.negatives.tolist()
    ]  # fmt: skip
    assert positive.tolist() == batch.positives[0].tolist()
    assert negative.tolist() == batch.negatives[0].tolist()


def test_steps_lower_the_loss(scene):
    losses = [train_step(*scene, None)[0] for _ in range(30)]
    assert losses[-1] < losses[0] - 0.3


def test_clipping_bounds_encoder_and_predictor_each(scene):
    optimizer = scene[3]
    _, norm = train_step(*scene, 1e-3)
    assert norm > 1e-2  # the norm before clipping is what is reported
    for group in optimizer.param_groups:
        clipped = torch.cat([p.grad.flatten() for p in group["params"]]).norm().item()
        assert clipped <= 1.001e-3


def test_each_part_has_its_learning_rate(scene):
    optimizer = scene[3]
    assert {group["name"]: group["lr"] for group in optimizer.param_groups} == {
        "encoder": 0.01,
        "predictor": 0.02,
    }


def test_a_step_that_is_not_finite_updates_nothing(scene):
    model, features, batch, optimizer = scene
    before = [p.clone() for p in model.parameters()]
    features[0, 0] = float("nan")
    with pytest.raises(NotFinite) as error:
        train_step(model, features, batch, optimizer, None)
    assert error.value.stage == "encoder" and math.isnan(error.value.loss)
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("stage", ["predictor", "backward"])
def test_the_first_stage_that_is_not_finite_is_named(scene, monkeypatch, stage):
    model, features, batch, optimizer = scene
    if stage == "predictor":
        with torch.no_grad():
            next(model.predictor.parameters()).fill_(float("inf"))
    else:
        next(model.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NotFinite, match=f"first in stage {stage}") as error:
        train_step(model, features, batch, optimizer, None)
    assert math.isfinite(error.value.loss) == (stage == "backward")
