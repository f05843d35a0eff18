"""Metrics of scored pairs: how well positives are told from negatives."""

from __future__ import annotations

import torch
from torch import Tensor

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


class AUC(Metric):
    """Area under the ROC curve, see :func:`auc`."""

    name = "auc"

    def __call__(self, positive: Tensor, negative: Tensor) -> float:
        return auc(positive, negative)


class AveragePrecision(Metric):
    """Average precision, see :func:`average_precision`."""

    name = "ap"

    def __call__(self, positive: Tensor, negative: Tensor) -> float:
        return average_precision(positive, negative)


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


def auc(positive: Tensor, negative: Tensor) -> float:
    """The share of pairs of a positive and a negative that are in order; a tie counts half.

    Negatives of each positive's own are all taken together.

    Shapes:
        - ``positive``: (P,); ``negative``: (K,) or (P, K)

    Raises:
        ValueError: without positives or negatives, or on scores that are not numbers.
    """
    _check(positive, negative)
    above, not_below = _counts(positive, negative.flatten())
    wrong = (above + not_below).double().mean() / (2 * negative.numel())
    return float(1 - wrong)


def average_precision(positive: Tensor, negative: Tensor) -> float:
    """Precision at the score of each positive, averaged; as scikit-learn's, tied scores are a step.

    Negatives of each positive's own are all taken together.

    Shapes:
        - ``positive``: (P,); ``negative``: (K,) or (P, K)

    Raises:
        ValueError: without positives or negatives, or on scores that are not numbers.
    """
    _check(positive, negative)
    _, right = _counts(positive, positive)
    _, wrong = _counts(positive, negative.flatten())
    return float((right / (right + wrong).double()).mean())


def half_tied_ranks(positive: Tensor, negative: Tensor) -> Tensor:
    """Ranks (P,) from 1, each the mean of the optimistic and the pessimistic one.

    Shapes:
        - ``positive``: (P,); ``negative``: (K,) shared by all positives, or (P, K)
    """
    above, not_below = _counts(positive, negative)
    return 0.5 * (above + not_below) + 1


def _counts(scores: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """How many others lie above each score, and how many not below it, (P,) int64 each.

    Shapes:
        - ``scores``: (P,); ``others``: (K,) or, for each score, (P, K)
    """
    if others.dim() == 2:
        if others.shape[0] != scores.shape[0]:
            raise ValueError(f"{scores.shape[0]} positives, but negatives for {others.shape[0]}")
        own = scores.unsqueeze(1)
        return (others > own).sum(dim=1), (others >= own).sum(dim=1)
    ascending = others.sort().values
    above = others.numel() - torch.searchsorted(ascending, scores, right=True)
    return above, others.numel() - torch.searchsorted(ascending, scores)


def _check(positive: Tensor, negative: Tensor) -> None:
    if positive.numel() == 0 or negative.numel() == 0:
        raise ValueError("a metric needs at least one positive and one negative")
    if positive.isnan().any() or negative.isnan().any():
        raise NotANumber("some scores are not numbers (NaN)")
