"""The hardest test pairs of a model: links with low scores, negatives with high scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from runner.comparison.hardest import COLUMNS
from runner.data.link_data import EvaluationSplit
from runner.ops.csr import Graph
from runner.ops.overlap import common_neighbours
from runner.tracking.media import Cell, Table


def hardest_pairs(
    score: Callable[[Tensor], Tensor],
    graph: Graph,
    split: EvaluationSplit,
    *,
    shown: int,
    looked_at: int,
    batch_size: int,
    names: Sequence[str] | None = None,
) -> Table:
    """The links with the lowest scores, then the negatives with the highest, the hardest first.

    Args:
        score: pairs, (2, B), to scores, (B,), as in evaluation.
        graph: the graph of the scores, on which degrees and common neighbours are counted.
        shown: limit of links and of negatives in the table.
        looked_at: limit of scored links and of scored negatives, evenly spaced over the split.
        batch_size: pairs scored at a time.
        names: of the nodes, shown instead of their numbers.
    """
    links = evenly(split.positive, looked_at)
    negatives = evenly(split.negative.reshape(2, -1), looked_at)
    rows: list[Sequence[Cell]] = [
        *_hardest_rows(score, graph, links, shown, batch_size, label=1),
        *_hardest_rows(score, graph, negatives, shown, batch_size, label=0),
    ]
    if names is not None:
        rows = [(*(names[int(str(node))] for node in row[:2]), *row[2:]) for row in rows]
    return Table(COLUMNS, rows)


def evenly(pairs: Tensor, most: int) -> Tensor:
    """At most ``most`` of ``pairs``, (2, B), evenly spaced over the list."""
    return pairs[:, :: max(1, -(-pairs.size(1) // most))]


def _hardest_rows(
    score: Callable[[Tensor], Tensor],
    graph: Graph,
    pairs: Tensor,
    shown: int,
    batch_size: int,
    *,
    label: int,
) -> Iterator[tuple[int | float, ...]]:
    scores = torch.cat([score(batch) for batch in pairs.split(batch_size, dim=1)])
    order = scores.argsort(descending=label == 0, stable=True)[:shown]
    chosen, degree = pairs[:, order], graph.degree()
    common = common_neighbours(graph, chosen).counts()
    columns = (*chosen, scores[order], common, degree[chosen[0]], degree[chosen[1]])
    for source, target, value, *counts in zip(*(c.tolist() for c in columns), strict=True):
        yield source, target, label, value, *counts
