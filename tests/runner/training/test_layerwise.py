"""Layer-local learning in the loop: phases, their state, and what each may touch."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from tests.runner import toy
from torch.nn.functional import softplus

from runner.errors import RunnerError
from runner.models.inner_product import InnerProduct
from runner.models.layer_local import LayerLocal
from runner.models.layer_mean import LayerMean
from runner.models.link_model import LinkModel
from runner.training.evaluator import NoEvaluator
from runner.training.layerwise import Layerwise
from runner.training.loop import fit
from runner.training.objective import LinkPrediction, Step
from runner.training.optimizers import build_optimizer
from runner.training.ranks import Ranks
from runner.training.state import TrainingState

STEPS = 4


def build(layers=2, *, objective=None, predictor=None, threshold=None, **setting):
    """The toy run with layers that learn alone."""
    run = toy.build(objective=objective or Layerwise(threshold=threshold), **setting)
    torch.manual_seed(3)
    model = LinkModel(
        LayerLocal(num_features=3, hidden=4, layers=layers),
        predictor or LayerMean(hidden=4, threshold=threshold),
    )
    made = build_optimizer(model, lr_encoder=0.05, lr_predictor=0.05, weight_decay=0.01)
    return replace(run, model=model, optimizer=made)


def trained(run, state=None, **recording):
    recorder, state = toy.Recording(run, **recording), state or TrainingState()
    fit(run, state, recorder, Ranks())
    return recorder, state


def weights(run, layer):
    return [p.detach().clone() for p in run.model.encoder.convolutions[layer].parameters()]


def same(one, other):
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("threshold", [None, 2.0])
def test_each_phase_moves_its_layer_alone(threshold):
    run = build(3, threshold=threshold, epochs=2)
    seen = []  # of each step: the phase, and all layers
    start = [weights(run, layer) for layer in range(3)]
    trained(
        run, on_step=lambda s: seen.append((s.phase, [weights(run, layer) for layer in range(3)]))
    )
    assert [phase for phase, _ in seen] == [0] * 2 * STEPS + [1] * 2 * STEPS + [2] * 2 * STEPS
    for (before, old), (phase, new) in zip([(0, start), *seen], seen, strict=False):
        moved = [not same(a, b) for a, b in zip(old, new, strict=True)]
        if before == phase:
            assert moved == [layer == phase for layer in range(3)]
        else:  # the earlier layer is that of its best epoch now
            assert moved[phase] and not any(moved[phase + 1 :])
    first = run.optimizer.param_groups[0]["params"]
    assert all(run.optimizer.state[p]["step"] == 2 * STEPS for p in first)


@pytest.mark.parametrize("threshold", [None, 2.0])
def test_the_loss_is_of_the_scores_of_one_layer(threshold):
    run = build(2, threshold=threshold)
    batch = next(run.sampler.epoch())
    for layer in (0, 1):
        run.objective.begin(layer, run.model)
        step = Step(run.model, batch, run.encoding.view(run.task.train_inputs, batch))
        z = run.model.encoder(run.task.features, batch.graph)[:, 4 * layer : 4 * layer + 4]
        products = [z[pairs[0]] * z[pairs[1]] for pairs in (batch.positives, batch.negatives)]
        positive, negative = (
            p.sum(1) if threshold is None else p.square().sum(1) - 2 for p in products
        )
        expected = softplus(-positive).mean() + softplus(negative).mean()
        torch.testing.assert_close(run.objective.loss(step), expected)


def test_a_layer_goes_on_from_the_best_of_those_below():
    run = build(evaluator=toy.Scripted(0.2, 0.9, 0.1, 0.3, 0.2, 0.1), epochs=3)
    after = []
    recorder, state = trained(
        run, on_step=lambda s: after.append((s.epoch, weights(run, 0))) if s.step == STEPS else None
    )
    at = dict(after)
    assert not same(at[2], at[3]) and all(same(at[2], at[epoch]) for epoch in (4, 5, 6))
    assert state.best["epoch"] == 4 and state.best["valid"] == {"score": 0.3}
    assert [(row["phase"], improved) for row, improved in recorder.named("epoch")] == [
        (1, True), (1, True), (1, False), (2, True), (2, False), (2, False)
    ]  # fmt: skip


def test_patience_and_evaluations_count_within_a_phase():
    scores = toy.Scripted(0.9, 0.8, 0.3, 0.4, 0.2)
    recorder, _ = trained(build(evaluator=scores, epochs=7, patience=2, evaluate_every=2))
    rows = [row for row, _ in recorder.named("epoch")]
    assert [row["phase"] for row in rows] == [1] * 4 + [2] * 6
    evaluated = [row["epoch"] for row in rows if "valid/score" in row]
    assert evaluated == [2, 4, 6, 8, 10]
    # The last epoch of each phase is evaluated, though it is no second one.
    recorder, _ = trained(build(evaluator=toy.Scripted(*range(6)), epochs=3, evaluate_every=2))
    rows = [row for row, _ in recorder.named("epoch")]
    assert [row["epoch"] for row in rows if "valid/score" in row] == [2, 3, 5, 6]


def test_without_evaluation_each_layer_is_that_of_its_last_epoch():
    recorder, state = trained(build(evaluator=NoEvaluator(), epochs=2))
    assert state.epoch == 5 and all(improved for _, improved in recorder.named("epoch"))


def test_a_resume_at_any_moment_ends_in_the_same_bits():
    run = build(3)
    whole, state = trained(run, checkpoint_steps=1)
    rows = whole.rows()
    places = {(s["state"]["phase"], s["state"]["epoch"], s["state"]["step"]) for s in whole.saved}
    assert {place[0] for place in places} == {0, 1, 2} and len(places) > 9 * STEPS
    for saved in whole.saved[::7]:
        again = build(3)
        for source in (again.generators.batches, again.generators.negatives):
            source.manual_seed(99)
        restored = toy.checkpoint.restore(copy.deepcopy(saved), again)
        recorder, end = trained(again, restored)
        toy.assert_same(end.__dict__, state.__dict__)
        toy.assert_same(dict(again.model.state_dict()), dict(run.model.state_dict()))
        toy.assert_same(again.optimizer.state_dict(), run.optimizer.state_dict())
        assert recorder.rows() == rows[len(rows) - len(recorder.rows()) :]


def test_one_layer_is_ordinary_training_to_the_bit():
    own = build(1)
    ordinary = build(1, objective=LinkPrediction(), predictor=InnerProduct())
    (one, state), (other, same_state) = trained(own), trained(ordinary)
    toy.assert_same(one.rows(), other.rows())
    toy.assert_same(state.__dict__, same_state.__dict__)
    toy.assert_same(dict(own.model.state_dict()), dict(ordinary.model.state_dict()))


def test_scores_that_are_all_zero_cost_twice_ln_2():
    """The floor of the release's mean, ln 2: the sum of both means here."""
    run = build(1, chance=0.0, epochs=1)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.zero_()
    recorder, _ = trained(run)
    assert recorder.named("step")[0][-1] == pytest.approx(2 * torch.tensor(2.0).log().item())


def test_other_models_are_refused():
    run = toy.build()
    with pytest.raises(RunnerError, match="encoder=layer_local"):
        Layerwise(threshold=None).check(run.model, None)
    with pytest.raises(RunnerError, match=r"model\.threshold=None"):
        Layerwise(threshold=2.0).check(build().model, None)
