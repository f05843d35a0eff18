"""Schedules of the learning rates beside torch's."""

from __future__ import annotations

import torch

from runner.keys import PositiveInt


class SteppedLinear(torch.optim.lr_scheduler.LambdaLR):
    """After e epochs, counted down to a multiple of ``every``: lr · max(1 - e / epochs, 1e-4).

    As the Refined-GAE release (arXiv 2411.03845).

    Args:
        every: epochs of one rate.
        epochs: at the end of which the line is at 0.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, *, every: PositiveInt, epochs: PositiveInt
    ) -> None:
        super().__init__(optimizer, lambda e: max(1 - e // every * every / epochs, 1e-4))
