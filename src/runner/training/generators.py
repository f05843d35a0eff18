"""Every source of chance in a run has a seeded generator of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Generators:
    """The generators of training: order of the batches, negatives, and torch's default (dropout).

    The split's generator lives and dies with the split, the completion's in its module's state.
    All draw on the CPU, so that a seed means the same on every device.
    """

    def __init__(self, *, batches: int, negatives: int, dropout: int) -> None:
        self.batches = torch.Generator().manual_seed(batches)
        self.negatives = torch.Generator().manual_seed(negatives)
        torch.manual_seed(dropout)

    def state(self) -> dict[str, Any]:
        """All states, as tensors that a checkpoint can hold."""
        return {
            "batches": self.batches.get_state(),
            "negatives": self.negatives.get_state(),
            "dropout": torch.get_rng_state(),
            "dropout_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up all states from `state()`."""
        self.restore_draws(state)
        torch.set_rng_state(state["dropout"])
        if state["dropout_cuda"] and torch.cuda.is_available():
            # On a machine with fewer GPUs the other states are nobody's.
            torch.cuda.set_rng_state_all(state["dropout_cuda"][: torch.cuda.device_count()])

    def draws(self) -> dict[str, Tensor]:
        """The states that decide an epoch's batches and negatives, taken before its first one."""
        return {"batches": self.batches.get_state(), "negatives": self.negatives.get_state()}

    def restore_draws(self, state: Mapping[str, Any]) -> None:
        """Take up the states from `draws()`, to draw the same epoch again."""
        self.batches.set_state(state["batches"])
        self.negatives.set_state(state["negatives"])
