"""Company: whether the score of a pair depends on the pairs that are scored with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from runner.audits.limit import Limit
from runner.audits.scores import (
    SAMPLE,
    SEED,
    Score,
    difference,
    generator,
    sides,
    tolerance,
    verdict,
)
from runner.data.link_data import EvaluationSplit

_ALONE = 8  # positives, and as many negatives, that are scored one at a time
_PROBED = 2048  # pairs by which the time of a batch is estimated
_SHARE = 0.5  # of the time that is left, for two whole batches


def audit_company(
    scorer: Callable[[], Score],
    split: EvaluationSplit,
    *,
    batch_size: int,
    exact: bool,
    limit: Limit,
) -> dict[str, Any]:
    """Score a sample as evaluation does, and again in other company.

    Evaluation scores positives apart from negatives, `batch_size` at a time in file order. The
    sample is from one such batch of each. Its scores there are compared with those of single
    pairs, of small batches, and of batches that mix both sides.

    Args:
        scorer: prepares what gives the scores, (n,), of pairs, (2, n); anew for each company, since
            a scorer may remember.
        exact: see :func:`~runner.audits.scores.tolerance`.
    """
    chance = generator()
    score = scorer()
    sampled, expected, whole, cut = [], [], [], False
    for pairs in sides(split):
        batches = pairs.split(batch_size, dim=1)
        batch = batches[int(torch.randint(len(batches), (), generator=chance))]
        size = _affordable(score, batch, limit)
        cut |= size < batch.size(1)
        scores = score(batch[:, :size])
        chosen = torch.randperm(size, generator=chance)[:SAMPLE]
        sampled.append(batch[:, chosen])
        expected.append(scores[chosen])
        whole.append(scores)
    pairs, first = torch.cat(sampled, dim=1), sampled[0].size(1)
    reference = torch.cat(expected)
    found: dict[str, float] = {}
    for name, groups in _companies(first, pairs.size(1), chance).items():
        score = scorer()
        for group in groups:
            if not limit.left and found:
                cut = True
                break
            apart = difference(score(pairs[:, group]), reference[group])
            found[name] = max(found.get(name, 0.0), apart)
    worst = max(found, key=lambda name: found[name])
    return {
        **verdict(found[worst], tolerance(torch.cat(whole), exact=exact)),
        "pairs": pairs.size(1),
        "seed": SEED,
        "worst": worst,
        **({"cut": True} if cut else {}),
    }


def _companies(first: int, count: int, chance: torch.Generator) -> dict[str, list[Tensor]]:
    """Groups of the sample's numbers, of which those below `first` are positives, by name."""
    positives, negatives = torch.arange(count).tensor_split([first])
    small = SAMPLE // 3
    mixed = torch.randperm(count, generator=chance)
    return {
        "alone": list(torch.cat([positives[:_ALONE], negatives[:_ALONE]]).split(1)),
        "mixed": [mixed],
        "shuffled": list(torch.randperm(count, generator=chance).split(2 * small)),
        "smaller batches": [*positives.split(small), *negatives.split(small)],
    }


def _affordable(score: Score, batch: Tensor, limit: Limit) -> int:
    """How many pairs of the batch there is time to score."""
    size = batch.size(1)
    if size <= _PROBED:
        return size
    began = time.perf_counter()
    score(batch[:, :_PROBED])
    seconds = time.perf_counter() - began
    return max(_PROBED, min(size, int(_PROBED * _SHARE * limit.left / 2 / seconds)))
