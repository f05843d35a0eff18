from __future__ import annotations

import numpy as np
import pytest
import torch

from runner.prediction.best_pairs import BestPairs


@pytest.mark.parametrize("k", [1, 7, 1000])
@pytest.mark.parametrize("size", [1, 10, 400])
def test_as_a_sort_of_all(k, size):
    """Of few distinct scores, so that ties decide."""
    generator = np.random.default_rng(0)
    pairs, scores = generator.integers(50, size=(2, 400)), generator.integers(8, size=400) * 1.0
    best = BestPairs(k)
    for begin in range(0, 400, size):
        some = slice(begin, begin + size)
        best.add(torch.from_numpy(pairs[:, some]), scores[some])
        assert len(best._scores) <= 2 * k + size
    rows = sorted((-score, *pair) for score, pair in zip(scores, pairs.T.tolist(), strict=True))
    rows = rows[:k]
    found, scored = best.result()
    assert [(-s, *p) for s, p in zip(scored, found.T.tolist(), strict=True)] == rows
