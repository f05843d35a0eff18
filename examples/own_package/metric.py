"""A metric of one's own."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.training.metrics import Metric


class AUC(Metric):
    """The share of pairs of a positive and a negative in the right order; a tie counts half."""

    name = "own_auc"

    def __call__(self, positive: Tensor, negative: Tensor) -> float:
        ascending = negative.flatten().sort().values
        below = torch.searchsorted(ascending, positive)
        not_above = torch.searchsorted(ascending, positive, right=True)
        return float((below + not_above).double().mean() / (2 * ascending.numel()))
