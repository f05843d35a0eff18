from __future__ import annotations

import pytest
import torch

from runner.ops.node_values import NodeValues
from runner.ops.sparse_rows import SparseRows

DENSE = torch.rand(12, 12, generator=torch.manual_seed(0))
DENSE[DENSE < 0.5] = 0


def values(nodes):
    return NodeValues.of_rows(nodes, SparseRows.from_dense(DENSE[nodes]))


def test_values_and_what_two_rows_share():
    u, w = torch.cartesian_prod(torch.arange(12), torch.arange(12)).T
    whole = values(torch.arange(12))
    assert torch.equal(whole.at(u, w), DENSE.flatten())
    pairs = torch.stack([u, w])
    lists, from_u, from_v = whole.shared(pairs)
    for b, (one, other) in enumerate(pairs.T.tolist()):
        mine = slice(*lists.rowptr[b : b + 2].tolist())
        expected = ((DENSE[one] > 0) & (DENSE[other] > 0)).nonzero().flatten()
        assert torch.equal(lists.node[mine], expected)
        assert torch.equal(from_u[mine], DENSE[one, expected])
        assert torch.equal(from_v[mine], DENSE[other, expected])


def test_rows_of_some_nodes():
    some = values(torch.tensor([1, 4, 7]))
    again = NodeValues.of_tensors(some.tensors())
    u, w = torch.cartesian_prod(torch.arange(12), torch.arange(12)).T
    expected = torch.zeros_like(DENSE)
    expected[[1, 4, 7]] = DENSE[[1, 4, 7]]
    assert torch.equal(again.at(u, w), expected.flatten())


@pytest.mark.parametrize("nodes", [[], [2]])
def test_nothing(nodes):
    rows = SparseRows.from_dense(torch.zeros(len(nodes), 5))
    empty = NodeValues.of_rows(torch.tensor(nodes, dtype=torch.int64), rows)
    assert empty.at(torch.tensor([0]), torch.tensor([2])).tolist() == [0.0]
    assert empty.shared(torch.tensor([[0], [1]]))[0].node.numel() == 0
