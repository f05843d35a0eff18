"""The loop, told to a recorder that only listens."""

from __future__ import annotations

import copy
import math
from functools import partial
from itertools import pairwise
from typing import ClassVar

import pytest
import torch
from tests.runner import toy
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from runner.errors import Interrupted, Pruned, RunnerError
from runner.models.reweighting import Reweighting
from runner.ops.message_weights import MessageWeights
from runner.training.evaluator import Evaluator, NoEvaluator
from runner.training.loop import fit
from runner.training.metrics import NotANumber
from runner.training.objective import LinkPrediction
from runner.training.ranks import Ranks
from runner.training.state import TrainingState

STEPS = 4  # an epoch: 16 links, 4 a batch


class Listening(LinkPrediction):
    """Notes the moment of each step and of each evaluation; some losses are not finite."""

    def __init__(self, *not_finite: tuple[int, int], to_infinity: bool = False) -> None:
        self.broken = not_finite
        self.factor = math.inf if to_infinity else math.nan
        self.moments: list[tuple[int, int]] = []
        self.training: list[bool] = []
        self.inputs_of: list[tuple[int, object]] = []

    def loss(self, step):
        self.moments.append(step.ranks.moment)
        self.training.append(step.model.training)
        loss = super().loss(step)
        return loss * self.factor if step.ranks.moment in self.broken else loss

    def inputs(self, epoch, inputs):
        self.inputs_of.append((epoch, inputs.graph))
        return inputs


def told(**setting) -> tuple[toy.Recording, TrainingState]:
    """What a recorder hears of a whole run, and the state at its end."""
    run, state = toy.build(**setting), TrainingState()
    recorder = toy.Recording(run)
    fit(run, state, recorder, Ranks())
    return recorder, state


def weights(run) -> list[torch.Tensor]:
    return [p.detach().clone() for p in run.model.parameters()]


def test_the_recorder_is_told_of_each_step_and_then_of_the_epoch():
    recorder, state = told(evaluator=toy.Scripted(0.2, 0.5, 0.5))
    names = [name for name, *_ in recorder.calls]
    assert names == [*["step"] * STEPS, "epoch"] * 3
    places = [tuple(call[:3]) for call in recorder.named("step")]
    assert places == [(e, s, STEPS) for e in (1, 2, 3) for s in (1, 2, 3, 4)]
    assert [(row["epoch"], improved) for row, improved in recorder.named("epoch")] == [
        (1, True), (2, True), (3, False)
    ]  # fmt: skip
    assert state.best == {"epoch": 2, "valid": {"score": 0.5}, "test": {"score": -0.5}}
    assert (state.epoch, state.step, state.loss_sum, state.skipped) == (4, 0, 0.0, 0)
    # An epoch is saved as the beginning of the next.
    assert [(c["state"]["epoch"], c["state"]["step"]) for c in recorder.saved] == [
        (2, 0), (3, 0), (4, 0)
    ]  # fmt: skip


def test_messages_are_weighed_anew_after_an_epoch_was_evaluated():
    """After the last epoch not at all; and once, though a resume begins between two epochs."""

    class Noting(Reweighting):
        found: ClassVar[list[int]] = []  # epochs that were evaluated before

        def due(self, epoch):
            return epoch != 2

        def weights(self, graph):
            return MessageWeights(self.entries, self.loops)

        def refresh(self, model, features, graph):
            assert graph is run.task.train_graph
            self.found.append(len(evaluator.asked) // 2)

    evaluator = toy.Scripted(0.2, 0.5, 0.5, 0.1)
    run, state = toy.build(evaluator=evaluator, epochs=4), TrainingState()
    run.model.reweighting = Noting()
    fit(run, state, toy.Recording(run), Ranks())
    assert Noting.found == [1, 3]


def test_a_row_has_these_columns():
    recorder, state = told()
    for row, _ in recorder.named("epoch"):
        assert list(row) == [
            "epoch", "loss", "gradient_norm", "lr/encoder", "lr/predictor", "valid/hits@2",
            "valid/mrr", "test/hits@2", "test/mrr", "evaluation_seconds", "seconds",
        ]  # fmt: skip
        assert (row["lr/encoder"], row["lr/predictor"]) == (0.05, 0.02)
        assert row["seconds"] > row["evaluation_seconds"] > 0
    rows = [row for row, _ in recorder.named("epoch")]
    assert state.seconds == pytest.approx(sum(row["seconds"] for row in rows))


def test_checkpoints_are_made_between_steps_where_they_are_due():
    run = toy.build()
    recorder = toy.Recording(run, checkpoint_steps=3)
    fit(run, TrainingState(), recorder, Ranks())
    assert recorder.named("checkpoint") == [[1, 3], [2, 3], [3, 3]]
    assert recorder.calls[3] == ("checkpoint", 1, 3) and recorder.calls[4][:3] == ("step", 1, 4)


def by_hand(batches_an_epoch: list[list], *, clip: float | None) -> list[tuple[float, float]]:
    """Mean loss and gradient norm of each epoch, on matrices, with plain gradient descent."""
    run = toy.build(chance=0.0)
    features = run.task.features
    parts = [
        [w.requires_grad_() for w in weights_of_part]
        for weights_of_part in (
            [p.detach().clone() for p in run.model.encoder.parameters()],
            [p.detach().clone() for p in run.model.predictor.parameters()],
        )
    ]
    (weight, bias), (head, shift) = parts
    found = []
    for batches in batches_an_epoch:
        losses, norms = [], []
        for positives, negatives in batches:
            adjacency = torch.zeros(toy.NODES, toy.NODES)
            for (u, v), present in [(c, 1.0) for c in toy.LINKS.T] + [
                (c, 0.0) for c in positives.T
            ]:
                adjacency[u, v] = adjacency[v, u] = present
            h = features @ weight.T + bias
            h = h + adjacency @ h
            sides = []
            for pairs, sign in ((positives, -1.0), (negatives, 1.0)):
                logits = (h[pairs[0]] * h[pairs[1]]) @ head.T + shift
                sides.append(torch.log1p(torch.exp(sign * logits)).mean())
            loss = sides[0] + sides[1]
            gradients = torch.autograd.grad(loss, [weight, bias, head, shift])
            losses.append(loss.item())
            norms.append(math.sqrt(sum(float(g.square().sum()) for g in gradients)))
            for part, own, rate in zip(
                parts, (gradients[:2], gradients[2:]), (0.05, 0.02), strict=True
            ):
                norm = math.sqrt(sum(float(g.square().sum()) for g in own))
                factor = 1.0 if clip is None else min(1.0, clip / norm)
                with torch.no_grad():
                    for parameter, gradient in zip(part, own, strict=True):
                        parameter -= rate * factor * gradient
        found.append((sum(losses) / len(losses), sum(norms) / len(norms)))
    return found


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize(("batch_size", "sizes"), [(4, [4] * 4), (5, [5, 5, 5, 1])])
def test_loss_and_gradient_norm_are_the_means_over_the_batches(batch_size, sizes, clip):
    setting = {
        "chance": 0.0, "optimizer": torch.optim.SGD, "batch_size": batch_size, "drop_last": False,
        "clip_norm": clip,
    }  # fmt: skip
    sampler = toy.build(**setting).sampler
    batches = [[(b.positives, b.negatives) for b in sampler.epoch()] for _ in range(3)]
    assert [[p.size(1) for p, _ in epoch] for epoch in batches] == [sizes] * 3
    recorder, _ = told(**setting)
    found = [(row["loss"], row["gradient_norm"]) for row in recorder.rows()]
    for mine, expected in zip(found, by_hand(batches, clip=clip), strict=True):
        assert mine == pytest.approx(expected, rel=1e-5)


def test_each_step_and_each_evaluation_has_its_moment_and_its_inputs():
    objective, evaluator, ranks = Listening(), toy.Scripted(0.1, 0.2), Ranks()
    run = toy.build(objective=objective, evaluator=evaluator, epochs=2)
    fit(run, TrainingState(), toy.Recording(run), ranks)
    assert objective.moments == [(e, s) for e in (1, 2) for s in (1, 2, 3, 4)]
    assert ranks.moment == (2, 0)
    train, valid, test = run.task.train_graph, run.task.valid_graph, run.task.test_graph
    assert objective.inputs_of == [(e, graph) for e in (1, 2) for graph in (train, valid, test)]
    assert [(inputs.graph, split) for inputs, split in evaluator.asked] == [
        (valid, toy.VALID), (test, toy.TEST)
    ] * 2  # fmt: skip


def test_every_epoch_trains_in_training_mode():
    """An evaluation leaves the model in the other."""
    objective = Listening()
    told(objective=objective)
    assert objective.training == [True] * 3 * STEPS


@pytest.mark.parametrize(
    ("every", "evaluated"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (3, [3, 5]), (9, [5])]
)
def test_so_many_epochs_and_the_last_are_evaluated(every, evaluated):
    evaluator = toy.Scripted(*range(9))
    recorder, state = told(evaluator=evaluator, epochs=5, evaluate_every=every)
    rows = recorder.named("epoch")
    assert [row["epoch"] for row, _ in rows] == [1, 2, 3, 4, 5]
    assert [row["epoch"] for row, _ in rows if "valid/score" in row] == evaluated
    assert [row["epoch"] for row, improved in rows if improved] == evaluated
    assert len(evaluator.asked) == 2 * len(evaluated)
    assert state.best["epoch"] == evaluated[-1]


@pytest.mark.parametrize(
    ("scores", "setting", "last"),
    [
        ([0.3, 0.5, 0.4, 0.5, 0.9], {"patience": 2}, 4),  # a tie is not better
        ([0.3, 0.5, 0.4, 0.6, 0.1, 0.1], {"patience": 2}, 6),
        ([0.3, 0.2], {"patience": 1}, 2),
        ([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1], {"patience": 7}, 7),
        ([0.3, 0.2], {"patience": 3, "evaluate_every": 2}, 5),  # epochs count, not evaluations
        ([0.1] * 7, {}, 7),
    ],
)
def test_patience_ends_a_run_so_many_epochs_after_its_best(scores, setting, last):
    evaluator = toy.Scripted(*scores)
    run, state = toy.build(evaluator=evaluator, epochs=7, **setting), TrainingState()
    recorder = toy.Recording(run)
    fit(run, state, recorder, Ranks())
    assert recorder.rows()[-1]["epoch"] == last and state.epoch == last + 1
    calls = len(recorder.calls)
    fit(run, state, recorder, Ranks())
    assert len(recorder.calls) == calls


UNDISTURBED = {"schedule": partial(ExponentialLR, gamma=0.5), "evaluate_every": 2}
# The questions whether to stop: after each step, and before each batch of pairs that is scored.
_EVALUATION = 6
_EPOCHS = (STEPS, STEPS + _EVALUATION, STEPS + _EVALUATION)


def place(question: int) -> tuple[int, int]:
    """Epoch, and steps of it that are done, at this question."""
    for epoch, questions in enumerate(_EPOCHS, start=1):
        if question <= questions:
            return epoch, min(question, STEPS)
        question -= questions
    raise AssertionError(question)


def stopped_and_resumed(stop_at: int, **setting) -> tuple[toy.Recording, toy.Recording]:
    run, state = toy.build(**setting), TrainingState()
    first = toy.Recording(run, stop_at=stop_at)
    with pytest.raises(Interrupted):
        fit(run, state, first, Ranks())
    run, state = toy.resumed(first.saved[-1], **setting)
    second = toy.Recording(run)
    fit(run, state, second, Ranks())
    return first, second


@pytest.fixture(scope="module")
def undisturbed() -> toy.Recording:
    return told(**UNDISTURBED)[0]


@pytest.mark.parametrize("question", range(1, sum(_EPOCHS) + 1))
def test_a_run_that_stops_anywhere_ends_as_the_undisturbed_one(undisturbed, question):
    first, second = stopped_and_resumed(question, **UNDISTURBED)
    assert first.calls[-1] == ("checkpoint", *place(question))
    assert first.questions == question  # it stops at once
    assert first.rows() + second.rows() == undisturbed.rows()
    assert first.named("step") + second.named("step") == undisturbed.named("step")
    toy.assert_same(second.saved[-1], undisturbed.saved[-1])


def test_these_are_all_questions(undisturbed):
    assert undisturbed.questions == sum(_EPOCHS)


def test_a_run_that_stops_after_every_step_ends_as_the_undisturbed_one():
    setting = {"schedule": partial(ExponentialLR, gamma=0.5), "evaluator": NoEvaluator()}
    whole, _ = told(**setting)
    run, state, rows = toy.build(**setting), TrainingState(), []
    for _ in range(3 * STEPS):
        recorder = toy.Recording(run, stop_at=1)
        with pytest.raises(Interrupted):
            fit(run, state, recorder, Ranks())
        rows += recorder.rows()
        run, state = toy.resumed(recorder.saved[-1], **setting)
    recorder = toy.Recording(run)
    fit(run, state, recorder, Ranks())
    assert rows + recorder.rows() == whole.rows()
    toy.assert_same(recorder.saved[-1], whole.saved[-1])


class Crash(Exception):
    pass


@pytest.mark.parametrize("steps", [3, 5, 8, 11])
def test_a_run_that_crashes_ends_from_its_last_checkpoint_as_the_undisturbed_one(
    undisturbed, steps
):
    def crash(state):
        if (state.epoch - 1) * STEPS + state.step == steps:
            raise Crash

    run = toy.build(**UNDISTURBED)
    first = toy.Recording(run, checkpoint_steps=2, on_step=crash)
    with pytest.raises(Crash):
        fit(run, TrainingState(), first, Ranks())
    saved = first.saved[-1]["state"]
    assert 1 <= steps - ((saved["epoch"] - 1) * STEPS + saved["step"]) <= 2
    run, state = toy.resumed(first.saved[-1], **UNDISTURBED)
    second = toy.Recording(run)
    fit(run, state, second, Ranks())
    toy.assert_same(second.saved[-1], undisturbed.saved[-1])


def test_what_the_recorder_raises_at_the_end_of_an_epoch_ends_the_run_there(undisturbed):
    """As a judge's verdict; the state is that of the next epoch."""
    run, state = toy.build(**UNDISTURBED), TrainingState()

    class Judging(toy.Recording):
        def epoch(self, row, state, improved):
            super().epoch(row, state, improved)
            if row["epoch"] == 2:
                raise Pruned

    recorder = Judging(run)
    with pytest.raises(Pruned):
        fit(run, state, recorder, Ranks())
    assert recorder.rows() == undisturbed.rows()[:2] and state.epoch == 3
    toy.assert_same(recorder.saved[-1], undisturbed.saved[1])


def test_a_stop_of_another_process_stops_this_one_too():
    class Told(Ranks):
        def any(self, flag):
            assert not flag
            return self.moment == (2, 3)

    run = toy.build()
    recorder = toy.Recording(run)
    with pytest.raises(Interrupted):
        fit(run, TrainingState(), recorder, Told())
    assert recorder.calls[-1] == ("checkpoint", 2, 3)


def test_processes_begin_from_the_same_state():
    """The first's weights reach the others before anything is computed."""

    class First(Ranks):
        def same_state(self, model):
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.zero_()

    run = toy.build(epochs=0, chance=0.0)
    fit(run, TrainingState(), toy.Recording(run), First())
    assert all(not bool(p.any()) for p in run.model.parameters())
    run = toy.build(epochs=1, chance=0.0)
    recorder = toy.Recording(run)
    fit(run, TrainingState(), recorder, First())
    assert recorder.named("step")[0][-1] == pytest.approx(2 * math.log(2))  # every logit is 0


@pytest.mark.parametrize("to_infinity", [False, True])
def test_a_loss_that_is_not_finite_ends_the_run(to_infinity):
    objective = Listening((2, 3), to_infinity=to_infinity)
    run, state = toy.build(objective=objective), TrainingState()
    before = []

    def note(state):
        before[:] = [copy.deepcopy(run.model.state_dict())]

    recorder = toy.Recording(run, on_step=note)
    value = "inf" if to_infinity else "nan"
    wanted = f"the loss is {value}, first in stage loss, in epoch 2, step 3; .*the one before"
    with pytest.raises(RunnerError, match=wanted):
        fit(run, state, recorder, Ranks())
    name, report = recorder.calls[-1]
    assert name == "not_finite" and (report["epoch"], report["step"]) == (2, 3)
    assert (report["stage"], report["loss"]) == ("loss", value)
    assert all(len(report[side]) == 4 for side in ("positives", "negatives"))
    assert {tuple(pair) for pair in report["positives"]} < {tuple(c) for c in toy.LINKS.T.tolist()}
    assert len(recorder.named("step")) == STEPS + 2 and len(recorder.rows()) == 1
    now = {k: v for k, v in run.model.state_dict().items() if "extra_state" not in k}
    toy.assert_same(now, {k: v for k, v in before[0].items() if "extra_state" not in k})


def test_skipped_steps_are_counted_and_are_in_no_mean():
    objective = Listening((1, 2), (3, 1), (3, 4))
    recorder, state = told(objective=objective, not_finite="skip", epochs=4)
    assert [row["skipped_steps"] for row in recorder.rows()] == [1, 0, 2, 0]
    losses: dict[int, list[float]] = {}
    for epoch, step, _, loss in recorder.named("step"):
        assert math.isnan(loss) == ((epoch, step) in objective.broken)
        losses.setdefault(epoch, []).append(loss)
    for row in recorder.rows():
        finite = [loss for loss in losses[row["epoch"]] if not math.isnan(loss)]
        assert row["loss"] == pytest.approx(sum(finite) / len(finite), rel=1e-12)
    assert [(r["epoch"], r["step"]) for (r,) in recorder.named("not_finite")] == [*objective.broken]
    assert state.skipped_in_a_row == 0


def test_without_skipping_a_row_counts_no_skipped_steps():
    assert all("skipped_steps" not in row for row in told()[0].rows())


def test_a_skipped_step_moves_no_weight():
    run = toy.build(objective=Listening((1, 2)), not_finite="skip")
    kept = []
    recorder = toy.Recording(run, on_step=lambda state: kept.append(weights(run)))
    fit(run, TrainingState(), recorder, Ranks())
    same = [all(torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in pairwise(kept)]
    assert same == [True] + [False] * 10


class Normed(toy.Product):
    """Normalises the pairs of a batch together; the embeddings of one moment are no numbers."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__(0.0)
        self.norm = nn.BatchNorm1d(4)
        self.ranks = ranks

    def forward(self, h, view, pairs):
        broken = self.training and self.ranks.moment == (2, 3)
        h = self.norm(h[pairs[0]] * h[pairs[1]]) * (math.nan if broken else 1.0)
        if broken:
            self.norm(h)
        return self.linear(h).squeeze(-1)


def test_a_skipped_step_moves_no_running_mean():
    ranks, kept = Ranks(), []
    run = toy.build(not_finite="skip", chance=0.0, predictor=Normed(ranks))
    recorder = toy.Recording(
        run, on_step=lambda state: kept.append(copy.deepcopy(dict(run.model.named_buffers())))
    )
    fit(run, TrainingState(), recorder, ranks)
    assert [row["skipped_steps"] for row in recorder.rows()] == [0, 1, 0]
    toy.assert_same(kept[STEPS + 2], kept[STEPS + 1])
    assert not torch.equal(
        kept[STEPS + 3]["predictor.norm.running_mean"],
        kept[STEPS + 2]["predictor.norm.running_mean"],
    )


def test_a_stop_between_skipped_steps_changes_nothing():
    setting = {"not_finite": "skip", "evaluator": NoEvaluator()}
    broken = [(1, 2), (1, 3), (2, 4), (3, 1)]
    whole, _ = told(objective=Listening(*broken), **setting)
    for question in (2, 3, 8, 9):
        objective = Listening(*broken)
        first, second = stopped_and_resumed(question, objective=objective, **setting)
        assert first.rows() + second.rows() == whole.rows()
        toy.assert_same(second.saved[-1], whole.saved[-1])


EIGHT = {"batch_size": 2, "not_finite": "skip", "epochs": 4}  # steps an epoch
LATE = [(1, step) for step in range(2, 9)]  # seven in a row, up to the end of the epoch


def test_nine_skipped_steps_in_a_row_are_survived():
    recorder, _ = told(objective=Listening(*LATE, (2, 1), (2, 2), (2, 4)), **EIGHT)
    assert [row["skipped_steps"] for row in recorder.rows()] == [7, 3, 0, 0]


@pytest.mark.parametrize(
    ("broken", "count", "last"),
    [
        ([*LATE, (2, 1), (2, 2), (2, 3)], 10, (2, 3)),
        ([(2, step) for step in range(1, 9)], 8, (2, 8)),  # a whole epoch has no mean
    ],
)
def test_too_many_skipped_steps_end_the_run(broken, count, last):
    objective = Listening(*broken)
    with pytest.raises(RunnerError, match=f"; {count} steps in a row were skipped"):
        told(objective=objective, **EIGHT)
    assert objective.moments[-1] == last


def test_a_weight_that_is_not_finite_ends_the_run_before_its_epoch_is_told():
    run = toy.build()

    def spoil(state):
        if (state.epoch, state.step) == (2, STEPS):
            with torch.no_grad():
                run.model.predictor.linear.bias.fill_(math.inf)

    recorder = toy.Recording(run, on_step=spoil)
    with pytest.raises(RunnerError, match="a weight is not finite at the end of epoch 2"):
        fit(run, TrainingState(), recorder, Ranks())
    assert len(recorder.rows()) == 1 and len(recorder.saved) == 1


def test_scores_that_are_no_numbers_end_the_run_before_its_epoch_is_told():
    class NoNumbers(Evaluator):
        def evaluate(self, model, inputs, split, between_batches=lambda: None, ranks=None):
            raise NotANumber("some scores are not numbers (NaN)")

    run = toy.build(evaluator=NoNumbers())
    recorder = toy.Recording(run)
    with pytest.raises(RunnerError, match=r"\(NaN\) at the end of epoch 1"):
        fit(run, TrainingState(), recorder, Ranks())
    assert recorder.rows() == [] and recorder.saved == []


def test_without_epochs_the_model_is_evaluated_once_as_it_is():
    run, state = toy.build(epochs=0, evaluate_every=7, chance=0.0), TrainingState()
    before, recorder = weights(run), toy.Recording(run)
    fit(run, state, recorder, Ranks())
    ((row, improved),) = recorder.named("epoch")
    assert len(recorder.calls) == 1 and improved
    assert row["epoch"] == 0 and "loss" not in row and row["seconds"] == row["evaluation_seconds"]
    assert state.best == {
        "epoch": 0,
        **{
            split: {name: row[f"{split}/{name}"] for name in ("hits@2", "mrr")}
            for split in ("valid", "test")
        },
    }
    assert (state.epoch, state.step) == (1, 0) and state.seconds == row["seconds"]
    assert all(torch.equal(a, b) for a, b in zip(before, weights(run), strict=True))
    fit(run, state, recorder, Ranks())
    first, second = recorder.named("epoch")
    assert toy.without_seconds(first[0]) == toy.without_seconds(second[0]) and second[1]
    assert state.seconds == second[0]["seconds"]


def test_without_an_evaluator_every_epoch_is_the_best_so_far():
    recorder, state = told(evaluator=NoEvaluator(), patience=1)
    assert [improved for _, improved in recorder.named("epoch")] == [True] * 3
    assert not [name for row in recorder.rows() for name in row if "/" in name and "lr" not in name]
    assert state.best == {"epoch": 3, "valid": {}, "test": {}}


def test_a_schedule_moves_the_rates_between_epochs():
    rows = told(schedule=partial(ExponentialLR, gamma=0.5))[0].rows()
    assert [row["lr/encoder"] for row in rows] == pytest.approx([0.05, 0.025, 0.0125])
    assert [row["lr/predictor"] for row in rows] == pytest.approx([0.02, 0.01, 0.005])


def test_a_plateau_is_told_by_the_epochs_that_were_evaluated():
    schedule = partial(ReduceLROnPlateau, mode="max", factor=0.5, patience=0)
    evaluator = toy.Scripted(0.5, 0.6, 0.6, 0.6)
    rows = told(schedule=schedule, evaluator=evaluator, epochs=7, evaluate_every=2)[0].rows()
    assert [row["lr/encoder"] for row in rows] == [0.05] * 6 + [0.025]
