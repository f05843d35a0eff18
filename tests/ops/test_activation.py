from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from runner.ops import backend
from runner.ops.activation import Norm, dropout, rectify


def norm_of(width, dtype=torch.float64):
    seeded = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(2, width, dtype=dtype, generator=seeded)
    return Norm(weight.requires_grad_(), bias.requires_grad_(), 1e-5)


def in_place(x, **settings):
    with torch.no_grad():
        return rectify(x, overwrite=True, **settings)


def test_by_hand(form):
    x = torch.tensor([[3.0, -1.0, 0.0]])
    assert rectify(x).tolist() == [[3.0, 0.0, 0.0]]
    norm = Norm(torch.tensor([1.0, 1.0, 2.0]), torch.tensor([0.0, 0.0, 1.0]), 0.0)
    # Mean 2/3, variance 26/9.
    expected = torch.tensor([[(7 / 3) / (26 / 9) ** 0.5, 0.0, 1 - (4 / 3) / (26 / 9) ** 0.5]])
    torch.testing.assert_close(rectify(x, norm=norm), expected)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (7, 5), (3, 4, 5), (130, 5)])
def test_both_forms_agree(shape, normalised):
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    norm = norm_of(5) if normalised else None
    wanted = (x, norm.weight, norm.bias) if norm else (x,)
    upstream = torch.randn(shape, dtype=torch.float64)

    def results():
        out = rectify(x, norm=norm)
        return out, *torch.autograd.grad(out, wanted, upstream)

    compiled = results()
    with backend.plain():
        plain = results()
    for a, b in zip(compiled, plain, strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(in_place(x.detach().clone(), norm=norm), compiled[0].detach())


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_overwriting_changes_neither_value_nor_gradient(p, normalised):
    x = torch.randn(50, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 6, dtype=torch.float64, requires_grad=True)
    norm = norm_of(6) if normalised else None
    upstream = torch.randn(50, 6, dtype=torch.float64)

    def results(overwrite):
        torch.manual_seed(3)
        out = rectify(F.linear(x, weight), norm=norm, p=p, overwrite=overwrite)
        return out, *torch.autograd.grad(out, (x, weight), upstream)

    for a, b in zip(results(True), results(False), strict=True):
        assert torch.equal(a, b)


def test_overwriting_takes_no_memory():
    x = torch.randn(50, 6, requires_grad=True)
    linear = F.linear(x, torch.randn(6, 6))
    place = linear.data_ptr()
    assert rectify(linear, overwrite=True).data_ptr() == place
    assert in_place(x.detach(), norm=norm_of(6, torch.float32)).data_ptr() == x.data_ptr()


def test_overwriting_takes_rows_that_lie_apart(form):
    x = torch.randn(6, 50).t()
    torch.testing.assert_close(in_place(x.clone(memory_format=torch.preserve_format)), rectify(x))


@pytest.mark.parametrize("normalised", [False, True])
def test_gradient(form, normalised):
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    if not normalised:
        assert torch.autograd.gradcheck(rectify, x)
        return
    norm = norm_of(4)

    def function(x, weight, bias):
        return rectify(x, norm=Norm(weight, bias, 1e-5))

    assert torch.autograd.gradcheck(function, (x, norm.weight, norm.bias))


@pytest.mark.parametrize("normalised", [False, True])
def test_gradient_with_dropout_is_of_the_places_that_passed(normalised):
    x = torch.randn(50, 20, dtype=torch.float64, requires_grad=True)
    norm = norm_of(20) if normalised else None
    torch.manual_seed(3)
    out = rectify(x, norm=norm, p=0.3)
    upstream = torch.randn_like(out)
    (grad,) = torch.autograd.grad(out, x, upstream)
    passed = (out > 0).double() / 0.7
    before = x if norm is None else F.layer_norm(x, (20,), norm.weight, norm.bias, norm.eps)
    torch.testing.assert_close(out, before * passed)
    (expected,) = torch.autograd.grad(before * passed, x, upstream)
    torch.testing.assert_close(grad, expected)


def test_dropout_gradient_drops_the_same_places(form):
    x = torch.ones(5, 1500, dtype=torch.float64, requires_grad=True)
    out = dropout(x, 0.25)
    assert set(out.unique().tolist()) == {0.0, 1 / 0.75}
    (grad,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(grad, out.detach())


@pytest.mark.parametrize("operator", ["dropout", "rectify", "normalised"])
@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_rate_and_independence(operator, p):
    """Kept places are frequent as they should be, in rows, columns, neighbours and repetitions."""
    rows, columns = 2000, 256
    torch.manual_seed(0)
    ones = torch.ones(rows, columns)

    def draw():
        if operator == "dropout":
            return (dropout(ones, p) > 0).double()
        norm = Norm(torch.zeros(columns), torch.ones(columns), 1e-5)
        norm = norm if operator == "normalised" else None
        return (rectify(ones, norm=norm, p=p) > 0).double()

    first, second = draw(), draw()
    variance = p * (1 - p)
    assert abs(first.mean() - (1 - p)) < 5 * (variance / first.numel()) ** 0.5
    for dim, count in ((0, rows), (1, columns)):
        spread = first.mean(dim).var(correction=0) / (variance / count)
        assert 0.75 < spread < 1.3
    centred, other = first - (1 - p), second - (1 - p)
    correlations = [
        centred[:, 1:] * centred[:, :-1],
        centred[1:] * centred[:-1],
        centred[:, 64:] * centred[:, :-64],
        centred * other,
    ]
    for product in correlations:
        assert abs(product.mean() / variance) < 5 / product.numel() ** 0.5


def test_seeded_by_torch_and_the_same_for_any_number_of_threads(form):
    x = torch.randn(4000, 64)
    results = []
    for threads in (1, 2, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        torch.manual_seed(7)
        results.append((rectify(x, p=0.4), dropout(x, 0.4), rectify(x, p=0.4)))
        torch.set_num_threads(before)
    if form == "compiled":
        for result in results[1:]:
            assert all(torch.equal(a, b) for a, b in zip(results[0], result, strict=True))
    assert not torch.equal(results[0][0], results[0][2])


def test_no_dropout_draws_nothing(form):
    before = torch.get_rng_state()
    rectify(torch.randn(3, 4, generator=torch.Generator()))
    dropout(torch.ones(3), 0.0)
    assert torch.equal(before, torch.get_rng_state())


def test_not_a_number_stays_one(form):
    x = torch.tensor([[float("nan"), float("inf"), -1.0]])
    out = rectify(x)
    assert out[0, 0].isnan()
    assert out[0, 1:].tolist() == [float("inf"), 0.0]
    assert rectify(x, norm=Norm(torch.ones(3), torch.zeros(3), 1e-5)).isnan().all()


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("width", [1, 5, 64, 67])
def test_bfloat16_is_float32_rounded_at_the_end(form, width, normalised):
    x = 3 * torch.randn(9, width).to(torch.bfloat16)
    norm = norm_of(width, torch.float32) if normalised else None
    expected = rectify(x.float(), norm=norm).detach().to(torch.bfloat16)
    found = in_place(x.clone(), norm=norm)
    assert found.dtype == torch.bfloat16
    # The same sums in another order may fall to the other side of a tie.
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=0)
    assert (found == expected).float().mean() > 0.98


def test_bfloat16_rounds_to_nearest_and_keeps_what_is_no_number(form):
    p = 0.5
    x = torch.tensor([[1.0, 3.0, -2.0, float("inf"), float("nan")]] * 200).to(torch.bfloat16)
    torch.manual_seed(0)
    found = in_place(x.clone(), p=p).float()
    for column, value in enumerate([2.0, 6.0, 0.0]):
        assert set(found[:, column].tolist()) <= {0.0, value}
    assert found[:, 3].isinf().any()
    assert 60 < found[:, 0].eq(2).sum() < 140
    assert found[:, 4].isnan().any()


def test_bfloat16_drops_the_same_places_as_float32():
    x = torch.rand(40, 33) + 1
    wide = in_place(x.clone(), p=0.3, seed=7) == 0
    assert torch.equal(in_place(x.to(torch.bfloat16), p=0.3, seed=7) == 0, wide)


ANYWHERE = """
import ctypes, random
import numpy as np
from runner.ops.kernels.activation import normalise_drop_rectify

library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
random.seed(0)
drawn = np.random.default_rng(0)

def take(size):
    return library.malloc(size)

for rows in range(2, 17):
    for width in (4, 8):
        x = drawn.normal(size=(rows, width)).astype(np.float32)
        weight, bias = drawn.normal(size=(2, width)).astype(np.float32)
        arrays = [x, np.zeros_like(x), weight, bias, np.zeros((2, rows), np.float32)]
        found = set()
        for _ in range(1000):
            spacers = [take(random.choice([16, 40, 56, 72, 88, 120, 200])) for _ in range(8)]
            random.shuffle(spacers)
            for place in spacers[4:]:
                library.free(place)
            places, moved = {}, {}
            for k in random.sample(range(5), 5):
                places[k] = take(arrays[k].nbytes + random.choice([0, 8, 24, 64]))
                memory = (ctypes.c_char * arrays[k].nbytes).from_address(places[k])
                moved[k] = np.frombuffer(memory, np.float32).reshape(arrays[k].shape)
                moved[k][...] = arrays[k]
            for place in spacers[:4]:  # where the kernel may take its own row
                library.free(place)
            scalars = np.float32(1e-5), np.uint32(2**30), np.float32(1.3), np.float32(0)
            normalise_drop_rectify(
                0, rows, *(moved[k] for k in range(4)), *scalars, np.uint64(5), *moved[4]
            )
            found.add(moved[1].tobytes() + moved[4].tobytes())
            for place in places.values():
                library.free(place)
        print(len(found))
"""


@pytest.mark.command
def test_the_same_bits_wherever_memory_lies():
    """Where arrays are near each other, a compiled loop that writes takes another way."""
    command = [sys.executable, "-c", ANYWHERE]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert set(shown.split()) == {"1"}
