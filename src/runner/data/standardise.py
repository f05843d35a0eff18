"""Columns of numbers, standardised or put into bins over the nodes that training has."""

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


def binned_over(features: Tensor, columns: Sequence[int], bins: int, absent: Tensor) -> Tensor:
    """Features, (N, F'), with one-hot bins at the end in the place of columns of numbers.

    The bins of a column hold about as many nodes each, of those that are present; equal values are
    in one bin, so that there may be fewer.

    Args:
        columns: those of numbers, with NaN where one is missing, which is in no bin.
        absent: (K,) int64, nodes that training must not know of.
    """
    present = torch.ones(features.size(0), dtype=torch.bool).index_fill_(0, absent, False)
    others = [column for column in range(features.size(1)) if column not in set(columns)]
    blocks = [features[:, others]]
    for values in features[:, columns].T:
        known = values[present & ~values.isnan()].sort().values
        last = torch.arange(1, bins) * known.numel() // bins - 1  # of each bin but the highest
        ends = known[last[last >= 0]].unique()
        ends = ends[ends < known[-1]] if known.numel() else ends
        one_hot = features.new_zeros(features.size(0), ends.numel() + 1)
        given = (~values.isnan()).nonzero().squeeze(1)
        one_hot[given, torch.bucketize(values[given], ends)] = 1
        blocks.append(one_hot)
    return torch.cat(blocks, dim=1)
