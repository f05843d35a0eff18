"""BatchNorm of rows, of which there may be none or one."""

from __future__ import annotations

from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """``nn.BatchNorm1d``; in training fewer than two rows are normalised as in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.size(0) < 2:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)
