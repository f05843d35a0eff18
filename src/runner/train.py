"""The training loop."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.link_model import LinkModel
from ops.csr import Graph
from ops.sparse_rows import SparseRows
from ops.stage import stage
from runner.batches import Batch, FullGraph
from runner.data.link_data import EvaluationSplit
from runner.errors import Interrupted, RunnerError
from runner.evaluate import RankingEvaluator
from runner.metrics import NotANumber
from runner.seeding import Generators
from runner.state import TrainingState


class Recorder(Protocol):
    """What the loop tells the world; see `runner.records`."""

    def step(self, state: TrainingState, steps: int, loss: float) -> None: ...

    def epoch(self, row: dict[str, float], state: TrainingState, improved: bool) -> None: ...

    def checkpoint(self, state: TrainingState) -> None: ...

    def checkpoint_due(self) -> bool: ...

    def stop_requested(self) -> bool: ...


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
    state: TrainingState,
    recorder: Recorder,
) -> None:
    """Train from where `state` stands to the end of epoch `epochs`, evaluating after each.

    With `epochs` = 0 the model is evaluated as it is, once, as epoch 0.

    Adam on mean softplus(-positive logits) + mean softplus(negative logits), as the NCN release.
    `state` moves along; with the same seeds it moves the same way, wherever it is stopped.

    Raises:
        Interrupted: after a checkpoint, if the recorder asks to stop.
        RunnerError: if the loss or the gradient is not finite.
    """
    if epochs == 0:
        state.best, state.seconds = None, 0.0  # a resume does it again
        scores, improved = _evaluate(model, task, evaluator, state, epoch=0)
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
            loss, norm = train_step(model, task.features, batch, optimizer, clip_norm)
            if not math.isfinite(loss + norm):
                what = "loss" if not math.isfinite(loss) else "gradient norm"
                value = loss if what == "loss" else norm
                raise _diverged(
                    f"the {what} is {value} in epoch {state.epoch}, step {state.step + 1}"
                )
            state.step += 1
            state.loss_sum += loss
            state.gradient_norm_sum += norm
            state.epoch_seconds += time.perf_counter() - began
            recorder.step(state, len(sampler), loss)
            if recorder.stop_requested():
                recorder.checkpoint(state)
                raise Interrupted
            if recorder.checkpoint_due():
                recorder.checkpoint(state)

        scores, improved = _evaluate(model, task, evaluator, state, epoch=state.epoch)
        row = {
            "epoch": state.epoch,
            "loss": state.loss_sum / len(sampler),
            "gradient_norm": state.gradient_norm_sum / len(sampler),
            **{f"lr/{group['name']}": group["lr"] for group in optimizer.param_groups},
            **scores,
            "seconds": state.epoch_seconds + scores["evaluation_seconds"],
        }
        state.seconds += row["seconds"]
        state.next_epoch(generators.draws())
        recorder.epoch(row, state, improved)


def _evaluate(
    model: LinkModel, task: Task, evaluator: RankingEvaluator, state: TrainingState, *, epoch: int
) -> tuple[dict[str, float], bool]:
    """The scores of both splits as a part of a metrics line, and whether validation improved.

    The test scores are computed at the same epochs and kept beside; they steer nothing.
    """
    began = time.perf_counter()
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise _diverged(f"a weight is not finite at the end of epoch {epoch}")
    try:
        valid = evaluator.evaluate(model, task.features, task.train_graph, task.valid)
        test = evaluator.evaluate(model, task.features, task.test_graph, task.test)
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


def _diverged(what: str) -> RunnerError:
    return RunnerError(
        f"{what}; nothing of it is saved, an earlier checkpoint is kept. Start anew with a smaller "
        "train.lr_encoder and train.lr_predictor, or with train.clip_norm=1.0"
    )


def train_step(
    model: LinkModel,
    features: Tensor | SparseRows,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
) -> tuple[float, float]:
    """One update; the loss and the gradient norm before clipping.

    Nothing is updated if either is not finite, so that the weights stay those of a good step.
    """
    optimizer.zero_grad(set_to_none=True)
    with stage("encoder"):
        embeddings = model.encode(features, batch.graph)
    with stage("predictor"):
        pairs = torch.cat([batch.positives, batch.negatives], dim=1)
        logits = model.predictor(embeddings, batch.graph, pairs)
        positive, negative = logits.tensor_split([batch.positives.size(1)])
    with stage("backward"):
        loss = F.softplus(-positive).mean() + F.softplus(negative).mean()
        loss.backward()
    with stage("optimiser"):
        groups = [group["params"] for group in optimizer.param_groups]
        norms = [_gradient_norm(parameters) for parameters in groups]
        norm = math.hypot(*norms)
        if math.isfinite(loss.item() + norm):
            if clip_norm is not None:
                for parameters in groups:
                    torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
            optimizer.step()
    return loss.item(), norm


def _gradient_norm(parameters: list[Tensor]) -> float:
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item() if gradients else 0.0
