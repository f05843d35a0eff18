"""What the batch tells of a pair: a star, whose leaves are paired as links and as no links."""

from __future__ import annotations

import pytest
import torch
from ocn_batch_statistic import statistic, table

from runner.ops.csr import Graph

LEAVES = torch.arange(1, 41)
GRAPH = Graph.from_edges(torch.stack([LEAVES * 0, LEAVES]), 100)


def pairs(with_hub, without):
    """Pairs of leaves, which have the hub in common, and pairs that have nothing in common."""
    common = torch.stack([LEAVES, LEAVES.roll(1)])[:, :with_hub]
    others = torch.stack([torch.arange(without) + 50, torch.arange(without) + 51])
    return torch.cat([common, others], dim=1)


def test_the_batch_gives_positives_away_unless_it_is_mixed():
    """Three of four positives have the hub in common, of the negatives one of four."""
    sides = pairs(30, 10)[:, torch.randperm(40)], pairs(10, 30)[:, torch.randperm(40)]
    apart = statistic(GRAPH, *sides, batch_size=40, mixed=False)
    assert apart.above == 0.75
    assert (apart.positive, apart.negative) == ((30, 30), (10, 10))
    mixed = statistic(GRAPH, *sides, batch_size=40, mixed=True)
    assert mixed.above < 0.5 and mixed.positive == mixed.negative
    assert sum(mixed.positive) == 40  # two batches share the 40 pairs with the hub


def test_a_short_batch_is_left_out_and_none_is_refused():
    sides = pairs(20, 5), pairs(4, 12)
    found = statistic(GRAPH, *sides, batch_size=10, mixed=False)
    assert found.positive == (10, 10) and found.above == 1.0
    with pytest.raises(SystemExit, match="no full batch of 30 pairs: give a smaller --batch"):
        statistic(GRAPH, *sides, batch_size=30, mixed=False)


def test_the_table_has_both_companies():
    found = table(GRAPH, {"test": (pairs(30, 10), pairs(10, 30))}, 40)
    assert found["company"].tolist() == ["apart", "mixed"]
    assert found["positives above all negatives, %"].iloc[0] == "75.0"
