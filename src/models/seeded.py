"""Modules that draw while they score, in training and in evaluation."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn


class SeededModule(nn.Module):
    """A module with a generator of its own, on the CPU, which a checkpoint keeps.

    What it draws does not depend on other sources of chance.

    Args:
        seed: of the generator.
    """

    alike: ClassVar[bool] = False
    """Whether the processes of a run draw alike; else each draws from a seed of its own."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def get_extra_state(self) -> Tensor:
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        self.generator.set_state(state.cpu())
