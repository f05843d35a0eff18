"""Where a training run stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class TrainingState:
    """The position of a run: what a checkpoint keeps beside weights and generators."""

    epoch: int = 1  # the epoch under way
    step: int = 0  # its steps that are done
    loss_sum: float = 0.0  # over these steps
    gradient_norm_sum: float = 0.0
    skipped: int = 0  # of these steps, those without a finite loss and gradient
    skipped_in_a_row: int = 0
    epoch_seconds: float = 0.0  # of training in this epoch
    seconds: float = 0.0  # of all finished epochs, evaluation included
    draws: dict[str, Tensor] = field(default_factory=dict)  # generators before this epoch's draws
    best: dict[str, Any] | None = None  # epoch, valid and test scores of the best epoch so far
    # Of an objective with several phases: the one under way, and the last epoch before it.
    phase: int = 0
    phase_start: int = 0
    phase_best: dict[str, Tensor] = field(default_factory=dict)  # weights of its best epoch so far

    def next_epoch(self, draws: dict[str, Tensor]) -> None:
        """Stand at the beginning of the following epoch."""
        self.epoch += 1
        self.step = self.skipped = 0
        self.loss_sum = self.gradient_norm_sum = self.epoch_seconds = 0.0
        self.draws = draws

    def next_phase(self) -> None:
        """Stand at the beginning of the following phase."""
        self.phase += 1
        self.phase_start = self.epoch - 1
        self.phase_best, self.best = {}, None
