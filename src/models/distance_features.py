"""Features of a pair: how many nodes lie at each two distances from its ends."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from runner.ops.distance_counts import DistanceCounts

Arithmetic = Literal["exact", "release"]
BEYOND = 0  # of a column: further away than all hops


def columns(hops: int) -> list[tuple[int, int]]:
    """The distances from u and from v that each column counts; at distance 1 the end itself too."""
    order = []
    for k in range(1, hops + 1):
        order += [ends for m in range(1, k) for ends in ((k, m), (m, k))] + [(k, k)]
    return order + [ends for k in range(1, hops + 1) for ends in ((BEYOND, k), (k, BEYOND))]


def distance_features(
    counts: DistanceCounts, *, arithmetic: Arithmetic, zero_one: bool, floor: bool
) -> Tensor:
    """The counts of :func:`columns`, (B, K(K + 2)), of the type of ``counts``.

    ``exact`` gives (u, v) and (v, u) the same: of two mirrored columns the first has the larger
    count. ``release`` is BUDDY's, which depends on the order and differs in a few columns: with
    K = 2, (2, beyond) lacks (1, 1) once more; with K = 3, (1, 3) stands for (3, 1) in one
    difference, and without ``zero_one`` (3, 1), (1, 3), (beyond, 2), (2, beyond) are zero, with
    K = 1 none.

    Args:
        zero_one: keep the columns (beyond, 1) and (1, beyond), which are zero of every linked pair
            where the link itself is in the graph.
        floor: raise estimates below zero to zero.
    """
    shared = F.pad(counts.shared, (1, 0, 1, 0))
    at = shared.diff(dim=1).diff(dim=2)
    of_u = (counts.first - counts.shared[:, :, -1]).diff(dim=1, prepend=counts.first[:, :1] * 0)
    of_v = (counts.second - counts.shared[:, -1]).diff(dim=1, prepend=counts.second[:, :1] * 0)
    hops = counts.first.size(1)
    order = columns(hops)
    found = [
        of_v[:, j - 1] if i == BEYOND else of_u[:, i - 1] if j == BEYOND else at[:, i - 1, j - 1]
        for i, j in order
    ]
    if arithmetic == "exact":
        hidden = [] if zero_one else [(BEYOND, 1), (1, BEYOND)]
        for place, (i, j) in enumerate(order[:-1]):
            if i != j and order[place + 1] == (j, i):
                pair = found[place], found[place + 1]
                found[place], found[place + 1] = torch.maximum(*pair), torch.minimum(*pair)
    else:
        hidden = [] if zero_one else _zeroed_by_release(hops)
        _err_as_release(found, order)
    features = torch.stack(found, dim=1)
    features[:, [order.index(ends) for ends in hidden]] = 0
    return features.clamp(min=0) if floor else features


def normed(features: Tensor, degree: Tensor, pairs: Tensor) -> Tensor:
    """Features, (B, F), over the root of the product of the ends' degrees; 0 where one is 0."""
    product = degree[pairs].prod(0).to(features.dtype).unsqueeze(1)
    return torch.where(product > 0, features / product.clamp(min=1).sqrt(), 0)


def _zeroed_by_release(hops: int) -> list[tuple[int, int]]:
    places: dict[int, tuple[int, ...]] = {1: (), 2: (4, 5), 3: (4, 5, 11, 12)}
    return [columns(hops)[place] for place in places[hops]]


def _err_as_release(found: list[Tensor], order: list[tuple[int, int]]) -> None:
    place = {ends: number for number, ends in enumerate(order)}
    hops = order[-1][0]
    if hops == 2:
        found[place[2, BEYOND]] = found[place[2, BEYOND]] - found[place[1, 1]]
    if hops == 3:
        error = found[place[1, 3]] - found[place[3, 1]]
        found[place[2, BEYOND]] = found[place[2, BEYOND]] + error
        found[place[3, BEYOND]] = found[place[3, BEYOND]] - error
