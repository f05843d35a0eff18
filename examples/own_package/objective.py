"""An objective with a loss of its own."""

from __future__ import annotations

from torch import Tensor

from runner.keys import Positive
from runner.training.objective import Objective, Step


class Margin(Objective):
    """Mean max(0, margin - positive + negative) over positives, each with its own negative.

    Args:
        margin: by which a link is to score higher.
    """

    def __init__(self, *, margin: Positive = 1.0) -> None:
        self.margin = margin

    def loss(self, step: Step) -> Tensor:
        positive, negative = step.logits()
        losses = (self.margin - positive + negative).clamp(min=0)
        return losses.sum() / step.batch.positives.size(1)
