"""Propagated features and convolutions without activation, against dense NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, normalised_sum, relu
from tests.models.test_buddy import batch_norm, linear

from runner.models.linear_gcn import LinearGCN
from runner.models.link_model import LinkModel
from runner.models.sign import SIGN
from runner.ops.receptive_field import receptive_field
from runner.ops.sparse_rows import SparseRows

WIDE, NARROW = 9, 3


def features(width):
    x = np.random.default_rng(0).normal(size=(NUM_NODES, width))
    return x * (np.random.default_rng(1).random(x.shape) < 0.5)


def powers(x, a, steps):
    found = [x]
    for _ in range(steps):
        found.append(normalised_sum(found[-1], a))
    return found


def dense_sign(module, x, a):
    if module.embedding is not None:
        x = module.embedding.weight.detach().numpy()
    chunks = powers(x, a, module.steps)
    if not module.powers:
        chunks = [chunks[min(power, 1)] for power in range(module.steps + 1)]
    out = chunks[-1]
    if len(module.chunks):
        mixed = [
            relu(batch_norm(own.after[0], linear(own.linear, chunk)))
            for own, chunk in zip(module.chunks, chunks, strict=True)
        ]
        out = np.concatenate(mixed, axis=1)
    out = linear(module.linear, out)
    if module.last is not None:
        out = linear(module.last, out)
    if module.beside is not None:
        out = np.concatenate([out, dense_sign(module.beside, None, a)], axis=1)
    return out


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"steps": 0},
        {"steps": 0, "mixed": True},
        {"steps": 2},
        {"steps": 2, "mixed": True},
        {"steps": 3, "mixed": True, "powers": False},
        {"steps": 2, "mixed": True, "embedding": "propagated", "num_nodes": NUM_NODES},
        {"embedding": "plain", "num_nodes": NUM_NODES},
    ],
)
def test_sign_of_features(form, sparse, width, case, settle):
    module = settle(SIGN(num_features=width, hidden=6, **form))
    x = torch.from_numpy(features(width))
    expected = dense_sign(module, x.numpy(), case.dense)
    found = module(SparseRows.from_dense(x) if sparse else x, case.graph)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("mixed", [False, True])
def test_sign_of_learned_embeddings(mixed, case, settle):
    module = settle(SIGN(num_categories=NUM_NODES, hidden=6, steps=2, mixed=mixed))
    found = module(torch.arange(NUM_NODES), case.graph)
    expected = dense_sign(module, None, case.dense)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("kind", ["learned", "dense", "sparse"])
def test_linear_gcn(residual, kind, case, settle):
    learned = kind == "learned"
    given = {"num_categories": NUM_NODES} if learned else {"num_features": WIDE}
    module = settle(LinearGCN(**given, hidden=6, layers=3, residual=residual))
    x = torch.arange(NUM_NODES) if learned else torch.from_numpy(features(WIDE))
    read = SparseRows.from_dense(x) if kind == "sparse" else x
    found = module(read, case.graph).detach().numpy()
    out = module.input.weight.detach().numpy() if learned else x.numpy()
    if residual and not learned:
        out = linear(module.input, out)
    for layer in module.convolutions:
        weight, bias = (value.detach().numpy() for value in (layer.linear.weight, layer.bias))
        moved = normalised_sum(out @ weight.T, case.dense) + bias
        out = out + moved if residual else moved
    np.testing.assert_allclose(found, out, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SIGN(num_features=WIDE, hidden=6),
        lambda: SIGN(num_features=NARROW, hidden=6, steps=2),
        lambda: SIGN(num_features=WIDE, hidden=6, steps=2, mixed=True),
        lambda: SIGN(num_features=WIDE, hidden=6, steps=2, mixed=True, powers=False),
        lambda: LinearGCN(num_features=WIDE, hidden=6, residual=True),
    ],
)
def test_a_receptive_field_is_enough(build, case, settle):
    module = settle(build())
    width = NARROW if isinstance(module, SIGN) and module.steps == 2 and not module.chunks else WIDE
    x = torch.from_numpy(features(width))
    pairs = case.pairs[:, :2]
    field = receptive_field(case.graph, pairs, reach=1, layers=module.layers)
    found = module(x[field.nodes], field.layers)
    expected = module(x, case.graph)[field.nodes[: field.graph.num_nodes]]
    torch.testing.assert_close(found, expected)


def test_gradients_reach_every_weight(case):
    module = SIGN(num_features=WIDE, num_nodes=NUM_NODES, hidden=6, steps=2, mixed=True,
                  embedding="propagated")  # fmt: skip
    x = torch.from_numpy(features(WIDE)).float()
    LinkModel(module, torch.nn.Identity()).encode(x, case.graph).square().sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in module.parameters())


def test_what_is_refused():
    for key in ({"powers": False}, {"dropout": 0.1}):
        with pytest.raises(ValueError, match="has no effect with mixed=false"):
            SIGN(num_features=3, **key)
    with pytest.raises(ValueError, match="embedding=plain is for graphs with features"):
        SIGN(num_categories=3, num_nodes=3, embedding="plain")
    for encoder in (SIGN, LinearGCN):
        with pytest.raises(ValueError, match="give num_features"):
            encoder()
