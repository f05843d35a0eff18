from __future__ import annotations

import pytest
import torch

from runner.ops.sparse_rows import SparseRows

# An empty row, a full one, and an empty column.
X = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, -2.0, 0.0, 3.0], [0.0, 0.5, 0.0, 0.0]])


def test_there_and_back():
    rows = SparseRows.from_dense(X)
    assert rows.rowptr.tolist() == [0, 0, 3, 4]
    assert rows.col.tolist() == [0, 1, 3, 1]
    assert torch.equal(rows.to_dense(), X)
    assert torch.equal(rows.with_value(2 * rows.value).to_dense(), 2 * X)


def test_rows_below_each_other_and_some_of_their_entries():
    joined = SparseRows.joined([SparseRows.from_dense(X[:1]), SparseRows.from_dense(X[1:])])
    assert torch.equal(joined.to_dense(), X)
    assert torch.equal(joined.keep(joined.value > 0.8).to_dense(), X.where(X > 0.8, 0))


def test_product_and_its_gradient():
    matrix = torch.randn(4, 5, generator=torch.manual_seed(0), requires_grad=True)
    upstream = torch.randn(3, 5, generator=torch.manual_seed(1))
    found = SparseRows.from_dense(X).times(matrix)
    torch.testing.assert_close(found, X @ matrix)
    (gradient,) = torch.autograd.grad(found, matrix, upstream)
    torch.testing.assert_close(gradient, X.T @ upstream)


@pytest.mark.parametrize("shape", [(0, 4), (3, 4)])
def test_all_zero(shape):
    rows = SparseRows.from_dense(torch.zeros(shape))
    assert torch.equal(rows.to_dense(), torch.zeros(shape))
    assert torch.equal(rows.times(torch.ones(4, 2)), torch.zeros(shape[0], 2))
