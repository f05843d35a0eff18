"""One update of the weights, on one batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from runner.models.node_embedding import gradient_values, settle_sparse_gradients
from runner.ops.stage import stage
from runner.training.objective import Objective, Step

_STAGES = ("encoder", "predictor", "loss", "backward")


class NotFinite(Exception):
    """A step has an infinite or undefined loss or gradient; the weights are those before it.

    Attributes:
        stage: the first one with such a number: encoder, predictor, loss or backward.
        loss, gradient_norm: of the step; the norm is NaN where there is no gradient yet.
    """

    def __init__(self, stage: str, *, loss: float, gradient_norm: float) -> None:
        name, value = ("gradient norm", gradient_norm) if stage == "backward" else ("loss", loss)
        super().__init__(f"the {name} is {value}, first in stage {stage}")
        self.stage = stage
        self.loss = loss
        self.gradient_norm = gradient_norm


def train_step(
    objective: Objective,
    step: Step,
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
) -> tuple[float, float]:
    """One update; the loss and the gradient norm before clipping.

    Of several processes each encodes the same nodes of a graph that lacks all targets of the batch,
    and scores its share of them.

    Raises:
        NotFinite: if either is not finite; nothing is updated then.
    """
    model, ranks, learned = step.model, step.ranks, objective.learned
    optimizer.zero_grad(set_to_none=True)
    share = objective.loss(step)
    step.computed["loss"] = share
    with stage("backward"):
        share.backward()
        settle_sparse_gradients(model)
    loss = ranks.add_gradients([*model.parameters(), *learned.parameters()], share)
    with stage("optimiser"):
        groups = [_gradients(part) for part in (model.encoder, model.predictor, learned)]
        norms = [torch.nn.utils.get_total_norm(g).item() if g else 0.0 for g in groups]
        norm = math.hypot(*norms)
        if not math.isfinite(loss + norm):
            culprit = _STAGES[ranks.first(_first_not_finite(step.computed))]
            raise NotFinite(culprit, loss=loss, gradient_norm=norm)
        if clip_norm is not None:
            for gradients in groups:
                _clip(gradients, clip_norm)
        optimizer.step()
    return loss, norm


def _first_not_finite(computed: dict[str, Tensor]) -> int:
    for number, name in enumerate(_STAGES[:-1]):
        if name in computed and not bool(computed[name].isfinite().all()):
            return number
    return len(_STAGES) - 1


def _gradients(part: nn.Module) -> list[Tensor]:
    return [gradient_values(p.grad) for p in part.parameters() if p.grad is not None]


def _clip(gradients: list[Tensor], largest: float) -> None:
    """As ``torch.nn.utils.clip_grad_norm_``, which takes no gradients of single rows."""
    if gradients:
        factor = (largest / (torch.nn.utils.get_total_norm(gradients) + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.device))
