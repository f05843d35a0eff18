"""What a GPU would fuse can be traced as a whole, and then computes the same."""

import pytest
import torch

from runner.ops import activation, aggregate, backend, dense

X = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
U, V = torch.arange(9), torch.arange(9).flip(0) * 2
LINKED = X > 0.3
FUSABLE = {
    "drop and rectify": (activation._plain_drop_rectify, (X, 0.0)),
    "normalise": (
        activation._plain_normalise_drop_rectify,
        (X, torch.linspace(0.5, 2, 8), torch.linspace(-1, 1, 8), 1e-5, 0.0),
    ),
    "pair product": (aggregate._plain_pair_product, (X, U, V)),
    "marks": (dense._marks, (LINKED, U, V, torch.float32)),
    "counted marks": (dense._counted_marks, (LINKED, U, V, torch.bfloat16)),
}


@pytest.mark.parametrize("name", FUSABLE)
def test_a_traced_function_computes_the_same(name):
    function, arguments = FUSABLE[name]
    traced = torch.compile(function.__wrapped__, backend="aot_eager", dynamic=True, fullgraph=True)
    results = []
    for form in (function, traced):
        given = [
            a.clone().requires_grad_() if torch.is_tensor(a) and a.is_floating_point() else a
            for a in arguments
        ]
        out = form(*given)
        outs = out if isinstance(out, tuple) else (out,)
        if outs[0].requires_grad:
            outs[0].square().sum().backward()
        gradients = [a.grad for a in given if torch.is_tensor(a) and a.requires_grad]
        results.append([*(o.detach() for o in outs), *gradients])
    torch.testing.assert_close(results[1], results[0])


def test_on_the_cpu_nothing_is_fused():
    backend.fuse(True)
    try:
        assert torch.equal(aggregate._plain_pair_product(X, U, V), X[U] * X[V])
    finally:
        backend.fuse(False)


def test_sixteen_bits_are_read_as_float32_and_others_as_they_are():
    assert backend.exact(X.bfloat16()).dtype == torch.float32
    assert backend.exact(X) is X
    assert backend.exact(X.double()).dtype == torch.float64
