"""A share of validation that is learned from, and the rest, by which the best epoch is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from runner.data.link_data import EvaluationSplit, LinkData
from runner.errors import RunnerError


def judged_splits(
    data: LinkData, share: float | None, seed: int
) -> tuple[Mapping[str, EvaluationSplit], EvaluationSplit | None]:
    """What is scored as validation and as test, and what of validation is learned from.

    Links and shared negatives are both drawn by ``share``; negatives of a link go with it.

    Args:
        share: None to learn from training.

    Raises:
        RunnerError: if one of both parts would have no link or no negative.
    """
    judged = data.judged
    if share is None:
        return judged, None
    split, chance = judged["valid"], torch.Generator().manual_seed(seed)

    def cut(count: int) -> tuple[torch.Tensor, ...]:
        return torch.randperm(count, generator=chance).tensor_split([round(share * count)])

    links = cut(split.positive.size(1))
    own = split.negative.dim() == 3
    negatives = links if own else cut(split.negative.size(1))
    if not all(len(part) for part in (*links, *negatives)):
        raise RunnerError(
            f"objective.share={share}: of {split.positive.size(1)} validation links and "
            f"{split.negative.size(1)} negatives one part would be empty; choose another share"
        )
    learned, left = (
        replace(split, positive=split.positive[:, some], negative=split.negative[:, others])
        for some, others in zip(links, negatives, strict=True)
    )
    return {**judged, "valid": left}, learned
