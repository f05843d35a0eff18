from __future__ import annotations

import torch

from runner.comparison.hardest import COLUMNS
from runner.data.link_data import EvaluationSplit
from runner.experiment.closing_media.hardest_pairs import evenly, hardest_pairs
from runner.ops.csr import Graph

# 0 - 1 - 2 - 3 in a ring, and 4 at 0.
GRAPH = Graph.from_edges(torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 4]]), 6)


def pairs(*listed: tuple[int, int]) -> torch.Tensor:
    return torch.tensor(listed).T.contiguous()


def by_sum(given: torch.Tensor) -> torch.Tensor:
    return given.sum(0).float()


def table(split: EvaluationSplit, **options):
    return hardest_pairs(
        by_sum, GRAPH, split, **{"shown": 2, "looked_at": 100, "batch_size": 2, **options}
    )


def test_links_scored_low_come_first_then_negatives_scored_high():
    split = EvaluationSplit(pairs((0, 2), (1, 3), (4, 5)), pairs((0, 4), (3, 5), (2, 5)))
    found = table(split)
    assert tuple(found.columns) == COLUMNS
    # source, target, label, score, common neighbours, and both degrees
    assert found.rows == [
        (0, 2, 1, 2.0, 2, 3, 2),
        (1, 3, 1, 4.0, 2, 2, 2),
        (3, 5, 0, 8.0, 0, 2, 0),
        (2, 5, 0, 7.0, 0, 2, 0),
    ]


def test_negatives_of_each_link_and_a_bound_on_what_is_scored():
    negative = torch.stack([torch.zeros(3, 5, dtype=torch.int64), torch.arange(15).view(3, 5) % 6])
    split = EvaluationSplit(pairs((0, 1), (1, 2), (2, 3)), negative)
    scored = []

    def score(given: torch.Tensor) -> torch.Tensor:
        scored.append(given.size(1))
        return by_sum(given)

    found = hardest_pairs(score, GRAPH, split, shown=9, looked_at=4, batch_size=2)
    assert sum(scored) <= 8 and max(scored) <= 2
    assert [row[2] for row in found.rows] == [1, 1, 1, 0, 0, 0, 0]


def test_evenly_takes_from_all_over_and_never_more():
    given = torch.arange(20).view(2, 10)
    for most in range(1, 12):
        kept = evenly(given, most)
        assert 1 <= kept.size(1) <= most
    assert evenly(given, 5)[0].tolist() == [0, 2, 4, 6, 8]
