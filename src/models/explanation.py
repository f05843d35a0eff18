"""Why a pair has its score: the nodes that it was computed from, each with what it adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from runner.ops.csr import Graph

COMMON = "common neighbours"
SOURCE_ALONE = "neighbours of the source alone"
TARGET_ALONE = "neighbours of the target alone"
PROBABILITY = "completion probability"  # of the link that a neighbour of one side lacks

_ROWS = 2**12  # scores without a node computed at a time: bounds the memory of a hub


@dataclass(frozen=True, eq=False)
class Part:
    """Nodes that play one role in a score.

    Shapes:
        node: (n,) int64. contribution: (n,) float64. Each of ``columns``: (n,).

    Attributes:
        contribution: the score minus the score without the node in this part, all else as it is;
            None where the predictor does not read the nodes one by one.
        columns: further values of each node, by their names.
    """

    name: str
    node: Tensor
    contribution: Tensor | None = None
    columns: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Explanation:
    """What the score of one pair was computed from.

    Attributes:
        score: the logit, as `Predictor.scorer` gives it.
        facts: values of the pair, by their names.
    """

    score: float
    parts: tuple[Part, ...]
    facts: Mapping[str, float] = field(default_factory=dict)


def part(
    graph: Graph, name: str, node: Tensor, contribution: Tensor | None = None, **columns: Tensor
) -> Part:
    """A part whose nodes are told with their degrees."""
    degree = graph.rowptr[node + 1] - graph.rowptr[node]
    return Part(name, node, contribution, {"degree": degree, **columns})


def contributions(
    score: Callable[[Tensor], Tensor], pooled: Tensor, x: Tensor, node: Tensor, weight: Tensor
) -> Tensor:
    """The score of a sum minus the score of the sum without each of its terms, in float64.

    Args:
        score: sums, (B, H) float64, to scores, (B,).
        pooled: (1, H) float64, a sum that has the terms ``weight * x[node]``.
        x: (N, H) floating point.
        node, weight: (n,).

    Returns:
        (n,) float64
    """
    whole, parts = score(pooled), []
    for begin in range(0, node.numel(), _ROWS):
        some = slice(begin, begin + _ROWS)
        terms = weight[some].double().unsqueeze(1) * x[node[some]].double()
        parts.append(whole - score(pooled - terms))
    return torch.cat(parts) if parts else whole[:0]
