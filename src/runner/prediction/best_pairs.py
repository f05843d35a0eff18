"""The best of many scored pairs, in bounded memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class BestPairs:
    """Keeps the k pairs of highest score; of equal ones, those of lower numbers."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._least = -np.inf
        self._pairs = np.empty((2, 0), np.int64)
        self._scores = np.empty(0)

    def add(self, pairs: Tensor, scores: np.ndarray) -> None:
        """Add (2, P) pairs with their scores, (P,), none of them NaN."""
        enough = scores >= self._least
        self._pairs = np.concatenate([self._pairs, pairs.numpy()[:, enough]], axis=1)
        self._scores = np.concatenate([self._scores, scores[enough]])
        if len(self._scores) > 2 * self._k:
            self._cut()

    def result(self) -> tuple[Tensor, np.ndarray]:
        """The pairs, (2, n), the best first, and their scores, (n,)."""
        self._cut()
        return torch.from_numpy(self._pairs), self._scores

    def _cut(self) -> None:
        order = np.lexsort((self._pairs[1], self._pairs[0], -self._scores))[: self._k]
        self._pairs, self._scores = self._pairs[:, order], self._scores[order]
        if len(order) == self._k:
            self._least = self._scores[-1]
