"""Columns of features, standardised over the nodes that training has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def fill_missing(features: Tensor, columns: Sequence[int]) -> Tensor:
    """Features, (N, F), with the mean, 0, where a standardised column has NaN."""
    if not columns:
        return features
    filled = features.clone()
    filled[:, columns] = features[:, columns].nan_to_num(nan=0.0)
    return filled


def standardise_over(features: Tensor, columns: Sequence[int], absent: Tensor) -> Tensor:
    """Features, (N, F), whose columns have mean 0 and deviation 1 over the nodes that are present.

    Args:
        columns: those of numbers, with NaN where one is missing, which becomes 0. A column with one
            value alone becomes 0.
        absent: (K,) int64, nodes that training must not know of.
    """
    if not columns:
        return features
    values = features[:, columns].double()
    present = values.clone()
    present[absent] = torch.nan
    mean = present.nanmean(dim=0)
    deviation = (present - mean).square().nanmean(dim=0).sqrt()
    scaled = torch.where(deviation > 0, (values - mean) / deviation, 0.0)
    out = features.clone()
    out[:, columns] = scaled.nan_to_num(nan=0.0).to(features.dtype)
    return out
