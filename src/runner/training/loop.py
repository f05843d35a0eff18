"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.errors import Interrupted, RunnerError
from runner.models.link_model import LinkModel
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows
from runner.training.encoding import Encoding
from runner.training.evaluator import RankingEvaluator
from runner.training.generators import Generators
from runner.training.metrics import NotANumber
from runner.training.ranks import ALONE, Ranks
from runner.training.samplers import Batch, FullGraph
from runner.training.state import TrainingState
from runner.training.step import WHOLE_GRAPH, NotFinite, train_step

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
class Task:
    """What is learnt: features, the graphs that the model may see, and the scored links."""

    features: Tensor | SparseRows
    train_graph: Graph
    test_graph: Graph  # with the validation edges where the protocol says so
    valid: EvaluationSplit
    test: EvaluationSplit


def fit(
    *,
    model: LinkModel,
    task: Task,
    sampler: FullGraph,
    generators: Generators,
    evaluator: RankingEvaluator,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    clip_norm: float | None,
    not_finite: Literal["stop", "skip"],
    state: TrainingState,
    recorder: Recorder,
    encoding: Encoding = WHOLE_GRAPH,
    ranks: Ranks = ALONE,
) -> None:
    """Train from where `state` stands to the end of epoch `epochs`, evaluating after each.

    With `epochs` = 0 the model is evaluated as it is, once, as epoch 0.

    Adam on mean softplus(-positive logits) + mean softplus(negative logits), as the NCN release.
    `state` moves along; with the same seeds it moves the same way, wherever it is stopped.

    Args:
        not_finite: what becomes of a run whose loss or gradient is not finite in a step.
        encoding: what the encoder runs on in a step; in an evaluation it is the whole graph.
        ranks: the processes that do it together, each with its own parts in the same state.

    Raises:
        Interrupted: after a checkpoint, if the recorder asks to stop.
        RunnerError: if the loss or the gradient is not finite, of too many steps with "skip".
    """

    def stop_requested() -> bool:
        return ranks.any(recorder.stop_requested())

    def stop_if_asked() -> None:
        if stop_requested():
            raise Interrupted

    ranks.same_state(model)

    if epochs == 0:
        state.best, state.seconds = None, 0.0  # a resume does it again
        scores, improved = _evaluate(model, task, evaluator, state, stop_if_asked, ranks, epoch=0)
        row = {"epoch": 0, **scores, "seconds": scores["evaluation_seconds"]}
        state.seconds += row["seconds"]
        recorder.epoch(row, state, improved)
        return
    if not state.draws:
        state.draws = generators.draws()
    while state.epoch <= epochs:
        model.train()
        for batch in sampler.epoch(skip=state.step):
            began = time.perf_counter()
            loss = math.nan
            ranks.moment = (state.epoch, state.step + 1)
            try:
                loss, norm = train_step(
                    model, task.features, batch, optimizer, clip_norm, encoding, ranks
                )
            except NotFinite as error:
                recorder.not_finite(_report(error, batch, state))
                _skip(error, state, len(sampler), recorder, may_skip=not_finite == "skip")
            else:
                state.loss_sum += loss
                state.gradient_norm_sum += norm
                state.skipped_in_a_row = 0
            state.step += 1
            state.epoch_seconds += time.perf_counter() - began
            recorder.step(state, len(sampler), loss)
            if stop_requested():
                recorder.checkpoint(state)
                raise Interrupted
            if recorder.checkpoint_due():
                recorder.checkpoint(state)

        before = _sampling(model)
        try:
            scores, improved = _evaluate(
                model, task, evaluator, state, stop_if_asked, ranks, epoch=state.epoch
            )
        except Interrupted:
            model.load_state_dict(before, strict=False)
            recorder.checkpoint(state)
            raise
        trained = len(sampler) - state.skipped
        row = {
            "epoch": state.epoch,
            "loss": state.loss_sum / trained,
            "gradient_norm": state.gradient_norm_sum / trained,
            **({"skipped_steps": state.skipped} if not_finite == "skip" else {}),
            **{f"lr/{group['name']}": group["lr"] for group in optimizer.param_groups},
            **scores,
            "seconds": state.epoch_seconds + scores["evaluation_seconds"],
        }
        state.seconds += row["seconds"]
        state.next_epoch(generators.draws())
        recorder.epoch(row, state, improved)


def _sampling(model: LinkModel) -> dict[str, Any]:
    """The part of a model's state that an evaluation moves: the generators in it."""
    return {k: v for k, v in model.state_dict().items() if k.endswith("_extra_state")}


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


def _skip(
    error: NotFinite, state: TrainingState, steps: int, recorder: Recorder, *, may_skip: bool
) -> None:
    where = f"{error}, in epoch {state.epoch}, step {state.step + 1}"
    if not may_skip:
        raise _diverged(where, recorder)
    state.skipped += 1
    state.skipped_in_a_row += 1
    if state.skipped_in_a_row >= _MOST_SKIPPED_IN_A_ROW or state.skipped == steps:
        raise _diverged(f"{where}; {state.skipped_in_a_row} steps in a row were skipped", recorder)
    log.warning("%s: the step is skipped (train.not_finite=skip)", where)


def _evaluate(
    model: LinkModel,
    task: Task,
    evaluator: RankingEvaluator,
    state: TrainingState,
    between_batches: Callable[[], None],
    ranks: Ranks,
    *,
    epoch: int,
) -> tuple[dict[str, float], bool]:
    """The scores of both splits as a part of a metrics line, and whether validation improved.

    The test scores are computed at the same epochs and kept beside; they steer nothing.
    """
    began = time.perf_counter()
    ranks.moment = (epoch, 0)
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise _diverged(f"a weight is not finite at the end of epoch {epoch}")
    try:
        valid, test = (
            evaluator.evaluate(model, task.features, graph, split, between_batches, ranks)
            for graph, split in ((task.train_graph, task.valid), (task.test_graph, task.test))
        )
    except NotANumber as error:
        raise _diverged(f"{error} at the end of epoch {epoch}") from None
    seconds = time.perf_counter() - began
    best = state.best
    improved = best is None or valid[evaluator.selection] > best["valid"][evaluator.selection]
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
