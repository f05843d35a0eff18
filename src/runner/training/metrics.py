"""Ranking metrics, by the rules of the Open Graph Benchmark (OGB)."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.keys import PositiveInt


class NotANumber(ValueError):
    """Scores of which some are NaN, so that there is no ranking."""


class Metric:
    """How well positives are told from negatives: higher is better.

    A subclass with ``name`` and ``__call__`` is complete; a config names it by ``_target_``.

    Attributes:
        name: how rows and summaries call it.
        negatives: how many it needs at least.
        automatic: whether it may choose the best epoch where the protocol names no metric.
    """

    name: str
    negatives: int = 1
    automatic: bool = False

    def __call__(self, positive: Tensor, negative: Tensor) -> float:
        """The metric of scores, (P,) of positives and (K,) or (P, K) of negatives."""
        raise NotImplementedError


class HitsAtK(Metric):
    """Hits@K, see :func:`hits_at_k`.

    Args:
        k: K.
    """

    automatic = True

    def __init__(self, *, k: PositiveInt) -> None:
        self.name = f"hits@{k}"
        self.negatives = k

    def __call__(self, positive: Tensor, negative: Tensor) -> float:
        return hits_at_k(positive, negative, self.negatives)


class MRR(Metric):
    """Mean reciprocal rank, see :func:`mrr`."""

    name = "mrr"

    def __call__(self, positive: Tensor, negative: Tensor) -> float:
        return mrr(positive, negative)


def parse_metric(name: str | Metric) -> Metric:
    """The metric of a short name; a metric as it is.

    Raises:
        RunnerError: if it is none, nor "mrr" or "hits@K" with K ≥ 1.
    """
    if isinstance(name, Metric):
        return name
    if name == "mrr":
        return MRR()
    match = re.fullmatch(r"hits@([1-9]\d*)", str(name))
    if match is None:
        raise RunnerError(
            f"protocol.metrics: {name} is no known metric; use mrr or hits@K, as hits@50, or a "
            "node with the _target_ of a runner.training.metrics.Metric"
        )
    return HitsAtK(k=int(match.group(1)))


def hits_at_k(positive: Tensor, negative: Tensor, k: int) -> float:
    """The share of positives among the first k.

    Shared negatives follow OGB: a positive is a hit if it scores strictly above the k-th highest
    negative, so that ties are lost. Own negatives follow HeaRT (arXiv 2306.10453): a hit has rank
    ≤ k, where a tie counts half (:func:`half_tied_ranks`).

    Shapes:
        - ``positive``: (P,); ``negative``: (K',) shared by all positives, or (P, K')

    Raises:
        ValueError: on fewer than k negatives, where OGB answers 1.0; without positives; on
            scores that are not numbers.
    """
    _check(positive, negative)
    if negative.shape[-1] < k:
        raise ValueError(f"hits@{k} needs at least {k} negatives, got {negative.shape[-1]}")
    if negative.dim() == 2:
        hit = half_tied_ranks(positive, negative) <= k
    else:
        hit = positive > negative.topk(k).values[-1]
    return float(hit.sum()) / positive.numel()


def mrr(positive: Tensor, negative: Tensor) -> float:
    """Mean reciprocal rank; a tie counts half (:func:`half_tied_ranks`).

    Shapes:
        - ``positive``: (P,); ``negative``: (K,) shared by all positives, or (P, K)

    Raises:
        ValueError: without positives or negatives, or on scores that are not numbers.
    """
    _check(positive, negative)
    rank = half_tied_ranks(positive, negative)
    return float((1.0 / rank.to(torch.float)).mean())


def half_tied_ranks(positive: Tensor, negative: Tensor) -> Tensor:
    """Ranks (P,) from 1, each the mean of the optimistic and the pessimistic one.

    Shapes:
        - ``positive``: (P,); ``negative``: (K,) shared by all positives, or (P, K)
    """
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
    return 0.5 * (above + not_below) + 1


def _check(positive: Tensor, negative: Tensor) -> None:
    if positive.numel() == 0 or negative.numel() == 0:
        raise ValueError("a metric needs at least one positive and one negative")
    if positive.isnan().any() or negative.isnan().any():
        raise NotANumber("some scores are not numbers (NaN)")
