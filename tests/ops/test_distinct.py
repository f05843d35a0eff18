from __future__ import annotations

import pytest
import torch

from runner.ops.distinct import PairTable, distinct_pairs

pytestmark = pytest.mark.usefixtures("form")


def test_by_hand():
    pairs = torch.tensor([[3, 1, 0, 3, 2, 1], [1, 3, 2, 3, 0, 3]])
    distinct, number = distinct_pairs(pairs, 4)
    assert sorted(distinct.T.tolist()) == [[0, 2], [1, 3], [3, 3]]
    assert distinct[:, number].tolist() == [[1, 1, 0, 3, 0, 1], [3, 3, 2, 3, 2, 3]]


def test_none():
    distinct, number = distinct_pairs(torch.zeros(2, 0, dtype=torch.int64), 4)
    assert distinct.shape == (2, 0)
    assert number.shape == (0,)


@pytest.mark.parametrize("num_nodes", [5, 300, 100_000])
def test_many(two_threads, num_nodes):
    pairs = torch.randint(num_nodes, (2, 40_000))
    distinct, number = distinct_pairs(pairs, num_nodes)
    assert torch.equal(distinct[:, number], torch.stack([pairs.amin(0), pairs.amax(0)]))
    assert len(set(map(tuple, distinct.T.tolist()))) == distinct.size(1)
    assert (distinct[0].diff() >= 0).all()


def test_a_table_computes_every_value_once():
    asked = []

    def compute(pairs):
        asked.append(pairs.T.tolist())
        return (10 * pairs[0] + pairs[1]).double()

    table = PairTable(4, torch.zeros(0, dtype=torch.float64))
    first, second = torch.tensor([[0, 1], [1, 3]]), torch.tensor([[0, 1, 2], [2, 3, 3]])
    assert table.look_up(first, compute).tolist() == [1.0, 13.0]
    assert table.look_up(second, compute).tolist() == [2.0, 13.0, 23.0]
    assert table.look_up(first, compute).tolist() == [1.0, 13.0]
    assert asked == [[[0, 1], [1, 3]], [[0, 2], [2, 3]]]
    assert PairTable.size(4, table.known) == 128
