"""Ranking metrics, by the rules of the Open Graph Benchmark (OGB)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from runner.errors import RunnerError


class NotANumber(ValueError):
    """Scores of which some are NaN, so that there is no ranking."""


@dataclass(frozen=True)
class Metric:
    """A metric by its name, called with the scores of positives and negatives.

    Attributes:
        name: "hits@K" or "mrr".
        k: K of Hits@K, None for MRR.
    """

    name: str
    k: int | None

    def __call__(self, positive: Tensor, negative: Tensor) -> float:
        if self.k is None:
            return mrr(positive, negative)
        return hits_at_k(positive, negative, self.k)


def parse_metric(name: str) -> Metric:
    """The metric of a name.

    Raises:
        RunnerError: if the name is not "mrr" or "hits@K" with K ≥ 1.
    """
    if name == "mrr":
        return Metric(name, None)
    match = re.fullmatch(r"hits@([1-9]\d*)", str(name))
    if match is None:
        raise RunnerError(
            f"dataset.protocol.metrics: {name} is no known metric; use mrr or hits@K, as hits@50"
        )
    return Metric(name, int(match.group(1)))


def hits_at_k(positive: Tensor, negative: Tensor, k: int) -> float:
    """The share of positives scored strictly above the k-th highest negative; ties are lost.

    Shapes:
        - ``positive``: (P,); ``negative``: (K',) shared by all positives

    Raises:
        ValueError: on fewer than k negatives, where OGB answers 1.0; without positives; on
            scores that are not numbers.
    """
    _check(positive, negative)
    if negative.dim() != 1:
        raise ValueError("hits@k is defined for negatives shared by all positives, (K,)")
    if negative.numel() < k:
        raise ValueError(f"hits@{k} needs at least {k} negatives, got {negative.numel()}")
    threshold = negative.topk(k).values[-1]
    return float((positive > threshold).sum()) / positive.numel()


def mrr(positive: Tensor, negative: Tensor) -> float:
    """Mean reciprocal rank; a tie counts half, as the mean of optimistic and pessimistic rank.

    Shapes:
        - ``positive``: (P,); ``negative``: (K,) shared by all positives, or (P, K)

    Raises:
        ValueError: without positives or negatives, or on scores that are not numbers.
    """
    _check(positive, negative)
    if negative.dim() == 2:
        if negative.shape[0] != positive.shape[0]:
            raise ValueError(
                f"{positive.shape[0]} positives, but negatives for {negative.shape[0]}"
            )
        own = positive.unsqueeze(1)
        above = (negative > own).sum(dim=1)
        not_below = (negative >= own).sum(dim=1)
    else:
        ascending = negative.sort().values
        above = negative.numel() - torch.searchsorted(ascending, positive, right=True)
        not_below = negative.numel() - torch.searchsorted(ascending, positive)
    rank = 0.5 * (above + not_below) + 1
    return float((1.0 / rank.to(torch.float)).mean())


def _check(positive: Tensor, negative: Tensor) -> None:
    if positive.numel() == 0 or negative.numel() == 0:
        raise ValueError("a metric needs at least one positive and one negative")
    if positive.isnan().any() or negative.isnan().any():
        raise NotANumber("some scores are not numbers (NaN)")
