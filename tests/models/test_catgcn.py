"""CatGCN against the paper's dense form, which has a matrix of all pairs for each node's set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, arrays, linear, normalised_sum, relu
from tests.grids import every_pair

from runner.errors import RunnerError
from runner.models import catgcn
from runner.models.catgcn import CatGCN
from runner.ops.receptive_field import receptive_field
from runner.ops.sparse_rows import SparseRows

WORDS = 9


def sets():
    """Multi-hot features: sets of 0 to 9 categories, many of one or none."""
    size = np.arange(NUM_NODES) % (WORDS + 1)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(WORDS), (NUM_NODES, 1)), axis=1)
    return torch.from_numpy((order < size[:, None]).astype(np.float64))


def dense(module, x, a):
    state = arrays(module)
    rows = []
    for of_node in x.numpy():
        e = state["embedding"][of_node > 0]
        s = len(e)
        if s == 0:
            g = local = np.zeros(state["embedding"].shape[1])
        else:
            p = (np.ones((s, s)) + module.rho * np.eye(s)) / (s + module.rho)
            g = relu(linear(state, "convolution", p @ e)).mean(axis=0)
            local = sum((e[i] * e[j] for i in range(s) for j in range(i)), 0 * g)
        if module.mean_of_pairs:
            local = local / max(1, s * (s - 1) / 2)
        rows.append(module.alpha * mlp(state, "f_global", g)
                    + (1 - module.alpha) * mlp(state, "f_local", local))  # fmt: skip
    out = np.stack(rows)
    for _ in range(module.layers):
        out = normalised_sum(out, a)
    return out


def mlp(state, name, x):
    places = sorted({int(key.split(".")[1]) for key in state if key.startswith(f"{name}.")})
    for place in places[:-1]:
        x = relu(linear(state, f"{name}.{place}", x))
    return linear(state, f"{name}.{places[-1]}", x)


def build(**changed):
    return CatGCN(
        **{"num_features": WORDS, "hidden": 6, "width": 5, "hidden_dropout": 0.0, **changed}
    )


@every_pair(
    rho=[0.0, 1.0, 39.0], alpha=[0.3, 1.0], mean=[True, False], layers=[0, 2], linears=[1, 3],
    sparse=[True, False], entries=[2**17, 20],
)  # fmt: skip
def test_against_all_pairs_of_each_set(
    case, settle, monkeypatch, rho, alpha, mean, layers, linears, sparse, entries
):
    monkeypatch.setattr(catgcn, "_ENTRIES", entries)
    form = {"rho": rho, "alpha": alpha, "mean_of_pairs": mean, "layers": layers}
    module, x = settle(build(**form, global_layers=linears, local_layers=4 - linears)), sets()
    found = module(SparseRows.from_dense(x) if sparse else x, case.graph)
    np.testing.assert_allclose(
        found.detach().numpy(), dense(module, x, case.dense), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(("rho", "expected"), [(0.0, 0.666667), (1.0, 0.666667), (39.0, 1.269841)])
def test_three_categories_by_hand(rho, expected):
    """e = (1, -2, 3), W = 1, b = 0."""
    module = build(num_features=3, width=1, rho=rho, mean_of_pairs=False)
    with torch.no_grad():
        module.embedding.copy_(torch.tensor([[1.0], [-2.0], [3.0]]))
        module.convolution.weight.fill_(1.0)
    features = SparseRows.from_dense(torch.ones(1, 3))
    total = torch.tensor([[2.0]])
    assert module._global(features, total).item() == pytest.approx(expected, abs=1e-6)
    assert module._local(features, total).item() == pytest.approx(-5)
    module.mean_of_pairs = True
    assert module._local(features, total).item() == pytest.approx(-5 / 3)


@pytest.mark.parametrize("entries", [2**17, 20])
def test_gradient(case, settle, monkeypatch, entries):
    monkeypatch.setattr(catgcn, "_ENTRIES", entries)
    module, x = settle(build()), sets()
    rows = module.embedding.detach().clone().requires_grad_()

    def embed(rows):
        return torch.func.functional_call(module, {"embedding": rows}, (x, case.graph))

    assert torch.autograd.gradcheck(embed, rows, fast_mode=True)
    module(x, case.graph).square().sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in module.parameters())


def test_a_receptive_field_is_enough(case, settle):
    module = settle(build())
    x = SparseRows.from_dense(sets())
    field = receptive_field(case.graph, case.pairs[:, :2], reach=1, layers=module.layers)
    found = module(x.take(field.nodes), field.layers)
    expected = module(x, case.graph)[field.nodes[: field.graph.num_nodes]]
    torch.testing.assert_close(found, expected)


def test_values_are_those_of_a_set(case, settle):
    """Rows that are divided by their sum are sets still; other values are refused, or ignored."""
    module, x = settle(build()), sets()
    expected = module(x, case.graph)
    assert torch.equal(module(x / x.sum(dim=1, keepdim=True).clamp(min=1), case.graph), expected)
    x[4, x[4].argmax()] = 2.5
    with pytest.raises(RunnerError, match=r"node 4 has the value .*; encoder\.ignore_values=true"):
        module(x, case.graph)
    other = settle(build(ignore_values=True))
    assert torch.equal(other(x, case.graph), expected)
    x[7, 0] = -0.5
    for given in (module, other):
        with pytest.raises(
            RunnerError, match=r"node 7 has the value -0\.5 of feature 0.*dataset\.bins="
        ):
            given(x, case.graph)
    with pytest.raises(ValueError, match="the nodes have no features"):
        build(num_categories=3)
