"""A sample of scored pairs, and how far two scores of a pair may lie apart."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit

Score = Callable[[Tensor], Tensor]
"""Gives the scores, (n,), of pairs, (2, n), both on the CPU."""

SEED = 0
SAMPLE = 64  # positives, and as many negatives

_OF_THE_SPREAD = {True: 1e-4, False: 1e-2}  # in float32, and in bfloat16
_ROUNDING = 32 * float(np.finfo(np.float32).eps)  # of the largest score, whatever the spread


def generator() -> torch.Generator:
    """Of the audits' own, so that no other source of chance moves."""
    return torch.Generator().manual_seed(SEED)


def sides(split: EvaluationSplit) -> tuple[Tensor, Tensor]:
    """Positives and negatives, (2, n) each."""
    return split.positive, split.negative.reshape(2, -1)


def draw(pairs: Tensor, count: int, chance: torch.Generator) -> Tensor:
    """At most so many of some pairs, (2, n), without repeats."""
    return pairs[:, torch.randperm(pairs.size(1), generator=chance)[:count]]


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference of two scores of the same pair; two that are infinite are alike."""
    apart = torch.where(one == other, 0.0, (one.double() - other.double()).abs())
    return math.inf if bool(apart.isnan().any()) else float(apart.max())


def tolerance(scores: Tensor, *, exact: bool) -> float:
    """The difference that rounding may make.

    It is a share of the scores' interquartile range, or of their standard deviation where most
    scores are alike.

    Args:
        exact: computed in float32; else bfloat16 is among the precisions.
    """
    values = scores[scores.isfinite()].double().numpy()
    if not values.size:
        return 0.0
    low, high = np.percentile(values, (25, 75))
    spread = float(high - low) or float(values.std())
    return max(_OF_THE_SPREAD[exact] * spread, _ROUNDING * float(np.abs(values).max()))


def verdict(found: float, allowed: float) -> dict[str, bool | float | None]:
    """`passed`, `difference` (None where a score is no number) and `tolerance`."""
    known = found if math.isfinite(found) else None
    return {"passed": found <= allowed, "difference": known, "tolerance": allowed}
