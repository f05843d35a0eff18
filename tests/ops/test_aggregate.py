from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from runner.ops.aggregate import gather, pair_product, pool

X = torch.tensor([[1.0, -2.0], [3.0, 5.0], [-4.0, 0.5]])
ROWPTR = torch.tensor([0, 2, 2, 5, 6])
NODE = torch.tensor([0, 1, 0, 0, 2, 2])


pytestmark = pytest.mark.usefixtures("form")


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [
        ("sum", [[4, 3], [0, 0], [-2, -3.5], [-4, 0.5]]),
        ("mean", [[2, 1.5], [0, 0], [-2 / 3, -3.5 / 3], [-4, 0.5]]),
        ("max", [[3, 5], [0, 0], [1, 0.5], [-4, 0.5]]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_by_hand(reduce, expected, dtype):
    out = pool(X.to(dtype), ROWPTR, NODE, reduce=reduce)
    torch.testing.assert_close(out, torch.tensor(expected, dtype=dtype))


def test_weighted_by_hand():
    weight = torch.tensor([2.0, 1.0, 0.5, -1.0, 0.0, 3.0])
    out = pool(X, ROWPTR, NODE, weight=weight)
    torch.testing.assert_close(
        out, torch.tensor([[5.0, 1.0], [0.0, 0.0], [-0.5, 1.0], [-12.0, 1.5]])
    )


def test_weight_takes_the_type_of_x():
    assert pool(X.double(), ROWPTR, NODE, weight=torch.ones(6)).dtype == torch.float64


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_weight_is_for_sums(reduce):
    with pytest.raises(ValueError, match=f'got reduce="{reduce}"'):
        pool(X, ROWPTR, NODE, weight=torch.ones(6), reduce=reduce)


@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pairs", [0, 3])
def test_empty(reduce, dtype, pairs):
    x = torch.randn(4, 2, dtype=dtype, requires_grad=True)
    rowptr = torch.zeros(pairs + 1, dtype=torch.int64)
    node = torch.zeros(0, dtype=torch.int64)
    out = pool(x, rowptr, node, reduce=reduce)
    assert out.shape == (pairs, 2)
    assert out.dtype == dtype
    assert not out.any()
    out.sum().backward()
    assert not x.grad.any()
    if reduce == "sum":
        weight = torch.zeros(0, dtype=dtype, requires_grad=True)
        assert pool(x, rowptr, node, weight=weight).shape == (pairs, 2)


@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
def test_gradient(reduce):
    x = X.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pool(x, ROWPTR, NODE, reduce=reduce), x)


def test_weighted_gradient():
    x = X.double().requires_grad_()
    weight = torch.rand(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: pool(x, ROWPTR, NODE, weight=w), (x, weight))


def ragged(pairs, entries, nodes):
    seeded = torch.Generator().manual_seed(0)
    target = torch.randint(pairs, (entries,), generator=seeded)
    rowptr = torch.zeros(pairs + 1, dtype=torch.int64)
    rowptr[1:] = torch.bincount(target, minlength=pairs).cumsum(0)
    return rowptr, torch.randint(nodes, (entries,), generator=seeded)


@pytest.mark.parametrize("nodes", [20, 5000])
def test_bit_deterministic_with_threads(two_threads, nodes):
    """Few nodes: every gradient row is a long sum, whose order must not change."""
    rowptr, node = ragged(3000, 60_000, nodes)
    x = torch.randn(nodes, 32, requires_grad=True)
    weight = torch.rand(60_000, requires_grad=True)
    upstream = torch.randn(3000, 32)
    runs = []
    for _ in range(6):
        out = pool(x, rowptr, node, weight=weight)
        runs.append((out, *torch.autograd.grad(out, (x, weight), upstream)))
        plain = pool(x, rowptr, node)
        runs[-1] += (plain, *torch.autograd.grad(plain, x, upstream))
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


@pytest.mark.parametrize("weighted", [False, True])
def test_never_gathers_every_entry(weighted):
    """No tensor of (nnz, H) elements, nor a quarter of it, forward or backward."""
    entries, width = 20_000, 32
    rowptr, node = ragged(50, entries, 60)
    x = torch.randn(60, width, requires_grad=True)
    weight = torch.rand(entries) if weighted else None
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(tensor, torch.Tensor):
                    largest = max(largest, tensor.numel())
            return out

    with Watch():
        pool(x, rowptr, node, weight=weight).sum().backward()
    assert 0 < largest < entries * width / 4


def test_gather_by_hand():
    assert torch.equal(gather(X, torch.tensor([2, 0, 2])), X[[2, 0, 2]])
    assert gather(X, torch.zeros(0, dtype=torch.int64)).shape == (0, 2)


def test_gather_gradient():
    x = X.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gather(x, torch.tensor([2, 0, 2, 2])), x)


def test_gather_is_bit_deterministic_with_threads(two_threads):
    """Indexing is not: its gradient adds repeats in the order that threads come."""
    node = torch.randint(30, (100_000,))
    x = torch.randn(5000, 32, requires_grad=True)
    upstream = torch.randn(100_000, 32)
    runs = [torch.autograd.grad(gather(x, node), x, upstream)[0] for _ in range(6)]
    assert all(torch.equal(runs[0], run) for run in runs[1:])


def test_pair_product_by_hand():
    pairs = torch.tensor([[0, 2, 1], [1, 0, 1]])
    expected = torch.tensor([[3.0, -10.0], [-4.0, -1.0], [9.0, 25.0]])
    assert torch.equal(pair_product(X, pairs), expected)
    assert pair_product(X, pairs[:, :0]).shape == (0, 2)


def test_pair_product_gradient():
    x = X.double().requires_grad_()
    pairs = torch.tensor([[0, 2, 1, 0], [1, 0, 1, 1]])
    assert torch.autograd.gradcheck(lambda x: pair_product(x, pairs), x)
    assert torch.autograd.gradcheck(lambda x: pair_product(x, pairs[:, :0]), x)


def test_pair_product_is_bit_deterministic_with_threads(two_threads):
    pairs = torch.randint(30, (2, 20_000))
    x = torch.randn(50, 32, requires_grad=True)
    upstream = torch.randn(20_000, 32)
    runs = [torch.autograd.grad(pair_product(x, pairs), x, upstream)[0] for _ in range(4)]
    assert all(torch.equal(runs[0], run) for run in runs[1:])


def test_threads_change_no_bit():
    rowptr, node = ragged(3000, 60_000, 500)
    weight = torch.rand(60_000)
    runs = []
    for threads in (1, 2, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        x = torch.linspace(-1, 1, 500 * 32).view(500, 32).requires_grad_()
        out = pool(x, rowptr, node, weight=weight)
        runs.append((out, *torch.autograd.grad(out, x, torch.ones_like(out).cumsum(0))))
        torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


def test_nodes_that_are_no_rows_are_refused():
    with pytest.raises(ValueError, match="pairs holds ids 0 to 3, but nodes are 0 to 2"):
        pair_product(X, torch.tensor([[0], [3]]))
    with pytest.raises(ValueError, match="node holds ids -1 to 5"):
        pool(X, torch.tensor([0, 2]), torch.tensor([-1, 5]))


def test_half_precision_is_read_as_float32():
    pairs = torch.tensor([[0], [1]])
    half = X.bfloat16()
    assert torch.equal(pair_product(half, pairs), pair_product(half.float(), pairs))
    assert torch.equal(pool(half, ROWPTR, NODE), pool(half.float(), ROWPTR, NODE))


def test_a_strided_matrix():
    wide = torch.stack([X, X], dim=2)[:, :, 0]
    assert not wide.is_contiguous()
    assert torch.equal(pool(wide, ROWPTR, NODE), pool(X, ROWPTR, NODE))
