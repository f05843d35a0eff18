from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, linear, relu
from tests.models.builders import HIDDEN, predictor
from tests.ops.test_signatures import dense_second

from runner.errors import RunnerError
from runner.models import path_counts, signatures
from runner.models.mplp import MPLP
from runner.models.path_counts import SWAPPED
from runner.models.predictor import View
from runner.models.signatures import Signatures
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field

KINDS = tuple(SWAPPED)


def build(numbers="combine", *, kind="bipolar", width=128, hubs_from=None, seed=3, **changed):
    drawn = Signatures(kind=kind, width=width, hubs_from=hubs_from, seed=seed)
    given = {"hidden": HIDDEN, "feature_dropout": 0.0, "number_dropout": 0.0, **changed}
    return MPLP(numbers=numbers, signatures=drawn, **given)


# The formulas of the paper, on dense matrices.


def batch_norm(state, name, x):
    x = (x - state[f"{name}.running_mean"]) / np.sqrt(state[f"{name}.running_var"] + 1e-5)
    return x * state[f"{name}.weight"] + state[f"{name}.bias"]


def block(state, name, first, x):
    return relu(batch_norm(state, f"{name}.{first + 1}", linear(state, f"{name}.{first}", x)))


def node_weight(state, kind, h, a):
    d = np.maximum(a.sum(1), 1) + 1
    if kind == "mlp":
        inner = block(state, "weigh", 0, np.column_stack([h, a.sum(1)]))
        return 1 + linear(state, "weigh.4", inner)[:, 0]
    return {"none": np.ones_like(d), "RA": d**-0.5, "AA": np.log(d) ** -0.5}[kind]


def dense_numbers(kind, x, a, u, v):
    second = dense_second(a)
    d, d2, p, q, r = a.sum(1), second.sum(1), a @ x, a @ a @ x, second @ x
    around = q - d[:, None] * x
    if kind == "precompute":
        q = around
    c11, c12, c21, c22 = p[u] @ p[v], p[u] @ r[v], r[u] @ p[v], r[u] @ r[v]
    alone = d[u] + d[v] - 2 * c11 - c12 - c21
    alone_second = d2[u] + d2[v] - 2 * c22 - c12 - c21
    if kind == "exact":
        return np.array([c11, c12 + c21, c22, alone, alone_second])
    walks = [p[u] @ q[v], q[u] @ p[v], around[u] @ around[v], p[u] @ q[u], p[v] @ q[v]]
    if kind == "combine":
        found = [c11, c12, c21, c22, alone, alone_second, *walks, d[u], d[v], d2[u], d2[v]]
        return np.array(found)
    return np.array([c11, *walks, d[u], d[v]])


def dense_logit(module, state, x, h, a, u, v):
    def encoded(u, v):
        return block(state, "s", 0, dense_numbers(module.numbers, x, a, u, v))

    found = (encoded(u, v) + encoded(v, u)) / 2 if module.symmetric else encoded(u, v)
    if module.reads_embeddings:
        pair = h[u] * h[v]
        if module.combine == "plus_minus":
            pair = np.concatenate([h[u] + h[v], np.abs(h[u] - h[v])])
        found = np.concatenate([block(state, "f", 4, block(state, "f", 0, pair)), found])
    return linear(state, "head", found)[0]


def drawn(module, graph):
    """The signatures of an evaluation, (N, F)."""
    hubs = module.signatures.hubs(graph.degree()).nonzero().flatten()
    random = module.signatures.width - hubs.numel()
    parts = module.signatures.columns(
        module.signatures.seed, torch.arange(graph.num_nodes), hubs, random
    )
    return np.concatenate([x.double().numpy() * scale**0.5 for x, scale in parts], axis=1)


@pytest.mark.parametrize("numbers", KINDS)
@pytest.mark.parametrize(
    "changed",
    [
        {"symmetric": False},
        {"node_weight": "RA", "combine": "plus_minus"},
        {"node_weight": "AA", "kind": "onehot", "features": False},
        {"node_weight": "mlp", "hubs_from": 8},
    ],
)
def test_logits_against_dense_matrices(case, settle, form, numbers, changed):
    if (numbers, changed.get("node_weight")) == ("precompute", "mlp"):
        pytest.skip("is refused")
    module = settle(build(numbers, **changed))
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5, generator=torch.manual_seed(0))
    state = {
        name: value.numpy() for name, value in module.state_dict().items() if "extra" not in name
    }
    h = case.h if module.reads_embeddings else case.h[:, :0]
    weight = node_weight(state, module.node_weight, case.h.numpy(), case.dense)
    x = drawn(module, case.graph) * weight[:, None]
    expected = [dense_logit(module, state, x, h.numpy(), case.dense, u, v) for u, v in case.pairs.T]
    with torch.no_grad():
        found = module(h, case.graph, case.pairs)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def distances(graph):
    """By breadth-first search, capped at 3."""
    rows = [part.tolist() for part in graph.col.split(graph.degree().tolist())]
    found = np.full((NUM_NODES, NUM_NODES), 3)
    for u in range(NUM_NODES):
        for w in rows[u]:
            for x in rows[w]:
                found[u, x] = min(found[u, x], 2)
    for u in range(NUM_NODES):
        found[u, rows[u]] = 1
        found[u, u] = 0
    return found


def test_with_a_column_a_node_counts_are_exact(case, form):
    away = distances(case.graph)
    module = build(kind="onehot").eval()
    found = module.count(case.h, View.of(case.graph), case.pairs).numpy()
    for row, (u, v) in zip(found, case.pairs.T.tolist(), strict=True):
        expected = [
            np.sum((away[u] == i) & (away[v] == j)) for i, j in ((1, 1), (1, 2), (2, 1), (2, 2))
        ]
        assert row[:4].tolist() == expected


@pytest.mark.parametrize("hubs_from", [None, 9])
def test_the_error_falls_as_the_root_of_the_width(case, hubs_from):
    exact = build(kind="onehot").eval().count(case.h, View.of(case.graph), case.pairs)
    errors = {}
    for width in (128, 2048):
        estimates = torch.stack(
            [
                build(width=width, seed=seed, hubs_from=hubs_from)
                .eval()
                .count(case.h, View.of(case.graph), case.pairs)
                for seed in range(16)
            ]
        )
        errors[width] = (estimates - exact)[..., :4].square().mean().sqrt()
        bias = (estimates - exact)[..., :4].mean(0).abs().max()
        assert bias < 4 * (estimates - exact)[..., :4].std(0).max() / 4  # 4 = root of 16 draws
    assert 3.3 < errors[128] / errors[2048] < 4.8  # root of 16


def test_hubs_have_columns_of_their_own(case):
    module = build(hubs_from=6, width=128)
    hubs = (case.graph.degree() >= 6).numpy()
    gram = drawn(module, case.graph) @ drawn(module, case.graph).T
    assert hubs.sum() > 1
    np.testing.assert_allclose(gram[hubs], np.eye(NUM_NODES)[hubs], atol=1e-12)
    np.testing.assert_allclose(gram.diagonal(), 1)
    assert np.abs(gram[~hubs][:, ~hubs] - np.eye(NUM_NODES)[~hubs][:, ~hubs]).max() > 0.1


def test_training_draws_anew_and_evaluation_does_not(case):
    module = build().eval()
    with torch.no_grad():
        first = module(case.h.float(), case.graph, case.pairs)
        assert torch.equal(module(case.h.float(), case.graph, case.pairs), first)
        module.train()
        view = View.of(case.graph)
        one, other = (module.count(case.h, view, case.pairs) for _ in range(2))
        assert not torch.equal(one, other)
        module.eval()
        again = module.count(case.h, view, case.pairs)
    assert torch.equal(again, build().eval().count(case.h, view, case.pairs))
    assert not torch.equal(again, build(seed=4).eval().count(case.h, view, case.pairs))


def test_a_resume_draws_what_would_have_come(case):
    module, other, view = build().train(), build(seed=3).train(), View.of(case.graph)
    module.count(case.h, view, case.pairs)
    other.load_state_dict(copy.deepcopy(module.state_dict()))
    found = [m.count(case.h, view, case.pairs) for m in (module, other)]
    assert torch.equal(*found)


@pytest.mark.parametrize("changed", [{}, {"node_weight": "RA", "hubs_from": 8}])
@pytest.mark.parametrize("numbers", ["combine", "prop_only", "exact"])
def test_what_is_near_the_pairs_gives_the_same_bits(case, monkeypatch, numbers, changed):
    """Where there are many more nodes than endpoints."""
    module = build(numbers, **changed).eval()
    pairs = case.pairs[:, case.some]
    whole = module.count(case.h, View.of(case.graph), pairs)
    monkeypatch.setattr(path_counts, "_LOCAL", 0)
    seen = []
    monkeypatch.setattr(
        path_counts, "receptive_field", lambda *a, **k: seen.append(1) or receptive_field(*a, **k)
    )
    alone = [module.count(case.h, View.of(case.graph), pair) for pair in pairs.split(1, dim=1)]
    assert seen and torch.equal(torch.cat(alone), whole)


@pytest.mark.parametrize("numbers", ["combine", "prop_only"])
def test_sums_that_are_not_kept_give_the_same_bits(case, settle, monkeypatch, numbers):
    from runner.models import mplp

    module = settle(build(numbers, width=600))
    with torch.no_grad():
        expected = module.scorer(case.h, case.graph)(case.pairs)
        monkeypatch.setattr(mplp, "_KEPT", 10)
        found = module.scorer(case.h, case.graph)
        assert torch.equal(found(case.pairs), expected)
        assert torch.equal(found(case.pairs), expected)


def test_columns_at_a_time_change_nothing(case, monkeypatch):
    module = build("combine", width=640).eval()
    whole = module.count(case.h, View.of(case.graph), case.pairs)
    monkeypatch.setattr(signatures, "_COLUMNS", 64)
    found = module.count(case.h, View.of(case.graph), case.pairs)
    torch.testing.assert_close(found, whole, rtol=1e-12, atol=1e-12)


def test_gradient_of_learned_weights(case, settle, monkeypatch):
    monkeypatch.setattr(signatures, "_COLUMNS", 64)
    module = settle(build("combine", node_weight="mlp", width=128, symmetric=False))
    with torch.no_grad():
        expected = module(case.h, case.graph, case.pairs)
    h = case.h.requires_grad_()
    torch.testing.assert_close(module(h, case.graph, case.pairs), expected)
    assert torch.autograd.gradcheck(
        lambda h: module(h, case.graph, case.pairs[:, ::7]), h, fast_mode=True
    )


@pytest.mark.parametrize("numbers", KINDS)
def test_only_precomputed_sums_see_hidden_links(case, settle, numbers):
    """The batch's graph lacks its links; the release computes those sums of the whole graph."""
    module = settle(build(numbers))
    kept = torch.ones(case.graph.num_entries, dtype=torch.bool)
    some = case.pairs[:, :4]
    hidden = case.graph.find(torch.cat([some, some.flip(0)], dim=1))
    kept[hidden[hidden >= 0]] = False
    thin = case.graph.keep(kept, symmetric=True)
    view = View(thin, case.graph, structure=module.structure(case.graph))
    with torch.no_grad():
        found = module(case.h, view, case.pairs)
        of_whole, of_thin = (module(case.h, g, case.pairs) for g in (case.graph, thin))
    same = of_whole if numbers == "precompute" else of_thin
    torch.testing.assert_close(found, same, rtol=0, atol=1e-12)
    assert not torch.allclose(of_whole, of_thin)


def test_symmetric_scores_are_the_mean_of_both_orders(case, settle):
    module = settle(build("combine", features=False))
    h, (u, v) = case.h[:, :0], case.pairs
    with torch.no_grad():
        found = module(h, case.graph, case.pairs)
        module.symmetric = False
        orders = [module(h, case.graph, torch.stack(pair)) for pair in ((u, v), (v, u))]
    torch.testing.assert_close(found, torch.stack(orders).mean(0))
    assert not torch.allclose(*orders)


def test_processes_draw_alike():
    assert Signatures.alike


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"numbers": "walks"}, "numbers must be one of combine"),
        ({"node_weight": "CN"}, "node_weight must be one of none"),
        ({"combine": "sum"}, "combine must be one of hadamard"),
        ({"numbers": "precompute", "node_weight": "mlp"}, "take numbers=prop_only"),
        ({"combine": "plus_minus", "features": False}, "has no effect with features=false"),
        ({"kind": "gaussian"}, 'kind must be "bipolar" or "onehot"'),
        ({"kind": "onehot", "hubs_from": 3}, "hubs_from=3 has no effect"),
    ],
)
def test_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        build(**changed)


def test_too_many_hubs_or_nodes(case, monkeypatch):
    with pytest.raises(RunnerError, match=r"signatures.hubs_from=1: .* raise either"):
        build(hubs_from=1, width=80).eval()(case.h.float(), case.graph, case.pairs)
    monkeypatch.setattr(signatures, "_MOST_NODES", 10)
    with pytest.raises(RunnerError, match="kind=onehot: of 30 nodes"):
        build(kind="onehot").eval()(case.h.float(), case.graph, case.pairs)
    monkeypatch.setattr(path_counts, "_MOST_SECOND", 10)
    with pytest.raises(RunnerError, match="or model=mplp_plus, which lists none"):
        build().eval()(case.h.float(), case.graph, case.pairs)
    build("prop_only").eval()(case.h.float(), case.graph, case.pairs)


def test_without_neighbours_an_aa_weight_is_finite(settle):
    graph = Graph.from_edges(torch.tensor([[0], [1]]), NUM_NODES)
    module = settle(predictor("mplp_ra", node_weight="AA"))
    logits = module(torch.zeros(NUM_NODES, HIDDEN).double(), graph, torch.tensor([[0, 4], [1, 5]]))
    assert bool(logits.isfinite().all())
