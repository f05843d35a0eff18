"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from runner.config.schema import Train
from runner.errors import Interrupted, RunnerError
from runner.models.link_model import LinkModel
from runner.models.reweighting import Reweighting
from runner.training.encoding import Encoding
from runner.training.evaluator import Evaluator
from runner.training.generators import Generators
from runner.training.metrics import NotANumber
from runner.training.objective import Objective, Step
from runner.training.optimizers import Schedule
from runner.training.ranks import ALONE, Ranks
from runner.training.samplers import Batch, LinkSampler
from runner.training.state import TrainingState
from runner.training.step import NotFinite, train_step
from runner.training.task import Task

log = logging.getLogger(__name__)


class Recorder(Protocol):
    """What the loop tells the world; see `runner.records.recorder`."""

    def step(self, state: TrainingState, steps: int, loss: float) -> None: ...

    def epoch(self, row: dict[str, float], state: TrainingState, improved: bool) -> None: ...

    def checkpoint(self, state: TrainingState) -> None: ...

    def checkpoint_due(self) -> bool: ...

    @property
    def stop_requested(self) -> Callable[[], bool]: ...

    def not_finite(self, report: Mapping[str, Any]) -> None: ...

    def last_checkpoint(self) -> str: ...


_MOST_SKIPPED_IN_A_ROW = 10


@dataclass(frozen=True, eq=False)
class Training:
    """What a run trains with, freshly built."""

    model: LinkModel
    task: Task
    objective: Objective
    sampler: LinkSampler
    encoding: Encoding
    evaluator: Evaluator
    generators: Generators
    optimizer: torch.optim.Optimizer | None
    schedule: Schedule | None
    settings: Train


def fit(run: Training, state: TrainingState, recorder: Recorder, ranks: Ranks = ALONE) -> None:
    """Train from where `state` stands to the end of the last epoch, evaluating as the config says.

    Without epochs the model is evaluated as it is, once, as epoch 0. `state` moves along; with the
    same seeds it moves the same way, wherever it is stopped.

    Args:
        ranks: the processes that do it together, each with its own parts in the same state.

    Raises:
        Interrupted: after a checkpoint, if the recorder asks to stop.
        RunnerError: if the loss or the gradient is not finite, of too many steps with "skip".
    """
    ranks.same_state(nn.ModuleList([run.model, run.objective.learned]))
    if run.settings.epochs == 0:
        state.best, state.seconds = None, 0.0  # a resume does it again
        scores, improved = _evaluate(run, state, recorder, ranks, epoch=0)
        row = {"epoch": 0, **scores, "seconds": scores["evaluation_seconds"]}
        state.seconds += row["seconds"]
        recorder.epoch(row, state, improved)
        return
    assert run.optimizer is not None, "only a run without epochs has none"
    if not state.draws:
        state.draws = run.generators.draws()
    phases = run.objective.phases(run.model)
    run.objective.begin(state.phase, run.model)
    while True:
        if _phase_ended(state, run.settings):
            if state.phase + 1 == phases:
                return
            _begin_next_phase(run, state)
        if run.model.reweighting is not None and not state.step:
            _reweight(run.model, run.model.reweighting, run.task, epoch=state.epoch - 1)
        run.model.train()
        inputs = run.objective.inputs(state.epoch, run.task.train_inputs)
        for batch in run.sampler.epoch(skip=state.step):
            began = time.perf_counter()
            loss = math.nan
            ranks.moment = (state.epoch, state.step + 1)
            buffers = _buffers(run)
            step = Step(run.model, batch, run.encoding.view(inputs, batch), ranks, state.epoch)
            try:
                loss, norm = train_step(run.objective, step, run.optimizer, run.settings.clip_norm)
            except NotFinite as error:
                recorder.not_finite(_report(error, batch, state))
                _skip(error, state, run, recorder)
                for buffer, value in buffers:
                    buffer.copy_(value)
            else:
                state.loss_sum += loss
                state.gradient_norm_sum += norm
                state.skipped_in_a_row = 0
            state.step += 1
            state.epoch_seconds += time.perf_counter() - began
            recorder.step(state, len(run.sampler), loss)
            if ranks.any(recorder.stop_requested()):
                recorder.checkpoint(state)
                raise Interrupted
            if recorder.checkpoint_due():
                recorder.checkpoint(state)

        before = run.generators.state(), _sampling(run.model)
        try:
            scores, improved = _evaluate(run, state, recorder, ranks, epoch=state.epoch)
        except Interrupted:
            run.generators.restore(before[0])
            run.model.load_state_dict(before[1], strict=False)
            recorder.checkpoint(state)
            raise
        trained = len(run.sampler) - state.skipped
        row = {
            "epoch": state.epoch,
            "loss": state.loss_sum / trained,
            "gradient_norm": state.gradient_norm_sum / trained,
            **({"skipped_steps": state.skipped} if run.settings.not_finite == "skip" else {}),
            **({"phase": state.phase + 1} if phases > 1 else {}),
            **{f"lr/{group['name']}": group["lr"] for group in run.optimizer.param_groups},
            **scores,
            "seconds": state.epoch_seconds + scores.get("evaluation_seconds", 0.0),
        }
        if improved and state.phase + 1 < phases:
            state.phase_best = _weights(run.model)
        state.seconds += row["seconds"]
        if run.schedule is not None:
            run.schedule.epoch(scores.get(f"valid/{run.evaluator.selection}"))
        state.next_epoch(run.generators.draws())
        recorder.epoch(row, state, improved)


def _reweight(model: LinkModel, reweighting: Reweighting, task: Task, *, epoch: int) -> None:
    """Refresh the weights of messages after an epoch.

    At the beginning of the next, so that the best checkpoint has those that were evaluated.
    """
    if epoch and reweighting.due(epoch):
        reweighting.refresh(model, task.features, task.train_graph)


def out_of_patience(state: TrainingState, patience: int | None) -> bool:
    """Whether that many epochs have passed since the best one."""
    if patience is None or state.best is None:
        return False
    return state.epoch - 1 - int(state.best["epoch"]) >= patience


def _phase_ended(state: TrainingState, train: Train) -> bool:
    within = state.epoch - state.phase_start
    return within > train.epochs or out_of_patience(state, train.patience)


def _begin_next_phase(run: Training, state: TrainingState) -> None:
    assert state.best is not None, "the last epoch of a phase is evaluated"
    log.info("phase %d begins from epoch %d", state.phase + 2, state.best["epoch"])
    run.model.load_state_dict(state.phase_best, strict=False)
    state.next_phase()
    run.objective.begin(state.phase, run.model)


def _weights(model: LinkModel) -> dict[str, Tensor]:
    """A copy of a model's state without the generators in it, which go on."""
    own = model.state_dict()
    return {k: v.clone() for k, v in own.items() if not k.endswith("_extra_state")}


def _sampling(model: LinkModel) -> dict[str, Any]:
    """The part of a model's state that an evaluation moves: the generators in it."""
    return {k: v for k, v in model.state_dict().items() if k.endswith("_extra_state")}


def _buffers(run: Training) -> list[tuple[Tensor, Tensor]]:
    """Buffers, as running means, and their values: a step that is skipped has moved them."""
    if run.settings.not_finite != "skip":
        return []
    return [(buffer, buffer.clone()) for buffer in run.model.buffers()]


def _report(error: NotFinite, batch: Batch, state: TrainingState) -> dict[str, Any]:
    """What tells the step again: its place, its stage and its pairs."""
    return {
        "epoch": state.epoch,
        "step": state.step + 1,
        "stage": error.stage,
        "loss": str(error.loss),
        "gradient_norm": str(error.gradient_norm),
        "positives": batch.positives.T.tolist(),
        "negatives": batch.negatives.T.tolist(),
    }


def _skip(error: NotFinite, state: TrainingState, run: Training, recorder: Recorder) -> None:
    where = f"{error}, in epoch {state.epoch}, step {state.step + 1}"
    if run.settings.not_finite != "skip":
        raise _diverged(where, recorder)
    state.skipped += 1
    state.skipped_in_a_row += 1
    if state.skipped_in_a_row >= _MOST_SKIPPED_IN_A_ROW or state.skipped == len(run.sampler):
        raise _diverged(f"{where}; {state.skipped_in_a_row} steps in a row were skipped", recorder)
    log.warning("%s: the step is skipped (train.not_finite=skip)", where)


def _evaluate(
    run: Training, state: TrainingState, recorder: Recorder, ranks: Ranks, *, epoch: int
) -> tuple[dict[str, float], bool]:
    """The scores of both splits as a part of a metrics line, and whether validation improved.

    The test scores are computed at the same epochs and kept beside; they steer nothing. Without
    metrics every epoch counts as the best so far; an epoch that is not evaluated never does.
    """
    ranks.moment = (epoch, 0)
    parameters = (*run.model.parameters(), *run.objective.learned.parameters())
    if not all(bool(parameter.isfinite().all()) for parameter in parameters):
        raise _diverged(f"a weight is not finite at the end of epoch {epoch}")
    within = epoch - state.phase_start
    if within % run.settings.evaluate_every and within != run.settings.epochs:
        return {}, False
    began = time.perf_counter()

    def stop_if_asked() -> None:
        if ranks.any(recorder.stop_requested()):
            raise Interrupted

    try:
        valid, test = (
            run.evaluator.evaluate(
                run.model, run.objective.inputs(epoch, inputs), split, stop_if_asked, ranks
            )
            for inputs, split in (
                (run.task.valid_inputs, run.task.valid), (run.task.test_inputs, run.task.test)
            )
        )  # fmt: skip
    except NotANumber as error:
        raise _diverged(f"{error} at the end of epoch {epoch}") from None
    seconds = time.perf_counter() - began
    select, best = run.evaluator.selection, state.best
    improved = best is None or select is None or valid[select] > best["valid"][select]
    if improved:
        state.best = {"epoch": epoch, "valid": valid, "test": test}
    scores = {
        **{f"valid/{name}": value for name, value in valid.items()},
        **{f"test/{name}": value for name, value in test.items()},
        "evaluation_seconds": seconds,
    }
    return scores, improved


def _diverged(what: str, recorder: Recorder | None = None) -> RunnerError:
    kept = recorder.last_checkpoint() if recorder else "kept"
    report = "not_finite.json has the batch. " if recorder else ""
    return RunnerError(
        f"{what}; nothing of it is saved, the last good checkpoint: {kept}. {report}Start anew "
        "with a smaller train.lr_encoder and train.lr_predictor, or with train.clip_norm=1.0"
    )
