from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from runner.ops import all_products
from runner.ops.all_products import log_sum_exp_of_products, softplus_of_products

X = torch.randn(11, 3, dtype=torch.float64, generator=torch.manual_seed(0))


@pytest.fixture(params=[1, 30, 10**6])
def entries(request, monkeypatch):
    """Blocks of one row, of two, and of all."""
    monkeypatch.setattr(all_products, "_ENTRIES", request.param)


def dense(x):
    return F.softplus(x @ x.T).sum()


def test_equals_the_dense_sum_and_its_gradient(entries):
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    found, expected = softplus_of_products(x, torch.arange(11)), dense(y)
    torch.testing.assert_close(found, expected)
    (3 * found).backward()
    (3 * expected).backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_parts_of_the_rows_add_up(entries):
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    order = torch.randperm(11, generator=torch.manual_seed(1))
    found = sum(softplus_of_products(x, rows) for rows in order.split(4))
    torch.testing.assert_close(found, dense(X))
    found.backward()
    dense(y).backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_large_products_stay_finite():
    x = torch.tensor([[200.0], [-200.0]]).requires_grad_()
    found = softplus_of_products(x, torch.arange(2))
    found.backward()
    assert found.item() == 80_000 and bool(x.grad.isfinite().all())


def test_log_sum_exp_and_its_gradients_are_those_of_the_dense_sum(entries):
    x, keys, offset = (
        torch.randn(size, dtype=torch.float64, generator=torch.manual_seed(1), requires_grad=True)
        for size in ((11, 3), (20, 3), (20,))
    )
    offset = offset.detach()
    left_out, rows = torch.arange(11) + 5, torch.arange(2, 11, 2)
    given = {"offset": offset, "left_out": left_out}
    found = sum(log_sum_exp_of_products(x, keys, part, **given) for part in rows.split(3))
    products = (x @ keys.T + offset).scatter(1, left_out.unsqueeze(1), -torch.inf)
    expected = products.logsumexp(dim=1)[rows].sum()
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        *(torch.autograd.grad(2 * of, (x, keys)) for of in (found, expected)), strict=True
    ):
        torch.testing.assert_close(one, other)
