"""BUDDY against dense NumPy and sets, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import relu
from tests.models.builders import HIDDEN, predictor
from tests.ops.test_distance_counts import balls

from runner.errors import RunnerError
from runner.models.buddy import BUDDY
from runner.models.distance_features import columns
from runner.models.predictor import View
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field

KINDS = {
    "plain": {},
    "one hop": {"hops": 1},
    "three hops": {"hops": 3, "zero_one": False},
    "all": {"normed": True, "resource_allocation": True},
    "two parts": {"embeddings": 2},
    "no embeddings": {"embeddings": 0, "resource_allocation": True},
}
SKETCH = {"counts": "sketch", "dropout": 0.0, "count_dropout": 0.0}


def dense_counts(a, pairs, hops, zero_one):
    """Of each pair how many nodes are at each two distances: by looking at every node."""
    far, rows = hops + 1, []
    for u, v in pairs.T:
        around = [balls(a, node, hops) for node in (u, v)]
        distances = []
        for within in around:
            sizes = np.full(len(a), far)
            for step in range(hops, 0, -1):
                sizes[list(within[step - 1])] = step
            distances.append(sizes)
        row = {}
        for i, j in zip(*distances, strict=True):
            key = (int(i) % far, int(j) % far)
            row[key] = row.get(key, 0) + 1
        if not zero_one:
            row[0, 1] = row[1, 0] = 0
        ordered = []
        for i, j in columns(hops):
            found, mirrored = row.get((i, j), 0), row.get((j, i), 0)
            first = columns(hops).index((i, j)) < columns(hops).index((j, i))
            ordered.append(max(found, mirrored) if first or i == j else min(found, mirrored))
        rows.append(ordered)
    return np.array(rows, dtype=float)


def linear(module, x):
    return x @ module.weight.detach().double().numpy().T + module.bias.detach().double().numpy()


def batch_norm(module, x):
    mean, variance, weight, bias = (
        value.detach().double().numpy()
        for value in (module.running_mean, module.running_var, module.weight, module.bias)
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def dense_buddy(module, h, a, pairs):
    f = dense_counts(a, pairs, module.hops, module.zero_one)
    degree = a.sum(1)
    if module.normed:
        product = degree[pairs[0]] * degree[pairs[1]]
        f = np.concatenate([f, np.where(product > 0, 1, 0)[:, None] * f
                            / np.sqrt(np.maximum(product, 1))[:, None]], axis=1)  # fmt: skip
    terms = [relu(batch_norm(module.f_counts[1], linear(module.f_counts[0], f)))]
    for place, mlp in enumerate(module.f_pair):
        part = h[:, place * HIDDEN : (place + 1) * HIDDEN]
        terms.append(relu(batch_norm(mlp[1], linear(mlp[0], part[pairs[0]] * part[pairs[1]]))))
    if module.heuristic is not None:
        weight = 1 / np.maximum(degree, 2)  # u = v alone may share a node of degree 1
        ra = [(a[u] * a[v] * weight).sum() for u, v in pairs.T]
        terms.append(batch_norm(module.norm, np.array(ra)[:, None]))
    return linear(module.head, np.concatenate(terms, axis=1))[:, 0]


def settled(settle, **changed):
    module = settle(BUDDY(**{"hidden": HIDDEN, **changed}))
    generator = torch.Generator().manual_seed(1)
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand(buffer.shape, generator=generator, dtype=torch.float64) + 0.5)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_against_dense(kind, case, settle, form):
    module = settled(settle, **KINDS[kind])
    h = case.h.repeat(1, 2)[:, : len(module.f_pair) * HIDDEN] + torch.arange(
        len(module.f_pair) * HIDDEN
    )
    expected = dense_buddy(module, h.numpy(), case.dense, case.pairs.numpy())
    with torch.no_grad():
        found = module(h, case.graph, case.pairs)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9)


def without(graph, pairs):
    """The view of a batch that hides these links."""
    hidden = torch.cat([graph.find(pairs), graph.find(pairs.flip(0))])
    kept = torch.ones(graph.num_entries, dtype=torch.bool).index_fill_(0, hidden, False)
    return View(graph.keep(kept, symmetric=True), graph, hidden)


@pytest.mark.parametrize("counts", ["exact", "sketch"])
def test_hidden_links_count_nowhere(counts, case, settle):
    """With a structure of the whole graph, too."""
    module = settled(settle, counts=counts)
    links = torch.stack([case.graph.row, case.graph.col.long()])[:, :12]
    view = without(case.graph, links)
    structure = module.structure(case.graph)
    assert (structure is None) == (counts == "exact")
    seen = View(view.graph, view.whole, view.hidden, structure=structure)
    expected = module.features(View.of(view.graph), links)
    assert torch.equal(module.features(seen, links), expected)
    assert not torch.equal(module.features(View.of(case.graph, structure), links), expected)


def test_a_structure_gives_the_same_scores_as_none(case, settle):
    module = settled(settle, counts="sketch")
    view = View.of(case.graph, module.structure(case.graph))
    expected = module(case.h, case.graph, case.pairs)
    assert torch.equal(module(case.h, view, case.pairs), expected)
    score = module.scorer(case.h, case.graph)
    assert torch.equal(score(case.pairs[:, :9]), module(case.h, view, case.pairs[:, :9]))


@pytest.mark.parametrize("hidden", [False, True])
def test_sketches_of_a_receptive_field(hidden, case, settle):
    """Nodes have numbers of their own there; sketches are those of the whole graph's ids."""
    module = settled(settle, counts="sketch")
    pairs = torch.stack([case.graph.row, case.graph.col.long()])[:, 3:4]
    view = without(case.graph, pairs) if hidden else View.of(case.graph)
    expected = module(case.h, view, pairs)
    field = receptive_field(view.graph, pairs, reach=module.reach, layers=0)
    for structure in (None, module.structure(case.graph)):
        local = View(field.graph, case.graph, view.hidden, field.nodes, structure)
        found = module(case.h[field.nodes], local, field.local(pairs))
        torch.testing.assert_close(found, expected)


def test_only_the_published_arithmetic_orders_a_pair(case, settle):
    """The published arithmetic depends on the order of the two nodes, ours does not."""
    flipped = case.pairs.flip(0)
    for arithmetic, same in (("exact", True), ("release", False)):
        module = settled(settle, counts="sketch", arithmetic=arithmetic)
        both = [module(case.h, case.graph, pairs) for pairs in (case.pairs, flipped)]
        assert torch.allclose(*both) is same


def test_what_auto_takes_stays(case, monkeypatch, caplog):
    """Decided by the first graph, told once, and kept by a checkpoint."""
    caplog.set_level("INFO")
    small = predictor("buddy")
    small.prepare(case.graph, case.pairs)
    assert small.structure(case.graph) is None and small.exact is True
    assert caplog.text.count("counts are exact") == 1
    monkeypatch.setattr("runner.models.buddy._LARGE", 2)
    large = predictor("buddy")
    assert large.structure(case.graph) is not None and large.exact is False
    assert small.structure(case.graph) is None
    assert caplog.text.count("estimated by sketches") == 1
    loaded = predictor("buddy")
    loaded.load_state_dict(small.state_dict())
    assert loaded.structure(case.graph) is None


def test_training_sees_single_pairs_and_normalises_many(case):
    module = predictor("buddy").train()
    h = case.h.float()
    before = module.f_counts[1].running_mean.clone()
    assert bool(module(h, case.graph, case.pairs[:, :1]).isfinite().all())
    assert torch.equal(module.f_counts[1].running_mean, before)
    module(h, case.graph, case.pairs)
    assert not torch.equal(module.f_counts[1].running_mean, before)


def test_what_is_refused(case, monkeypatch):
    with pytest.raises(ValueError, match="floor=true has no effect"):
        BUDDY(floor=True, counts="exact")
    with pytest.raises(RunnerError, match=r"model.embeddings=2: the encoder gives .* width 6"):
        BUDDY(hidden=HIDDEN, embeddings=2)(case.h, case.graph, case.pairs)
    monkeypatch.setattr("runner.models.buddy.BYTES", 2**50)
    with pytest.raises(RunnerError, match=r"model.counts=sketch: .* GiB.*give model.counts=exact"):
        BUDDY(hidden=HIDDEN, **SKETCH).structure(case.graph)


def test_no_links_and_no_pairs():
    graph = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), 4)
    module = BUDDY(hidden=HIDDEN, **SKETCH).eval()
    h = torch.randn(4, HIDDEN)
    assert module(h, graph, torch.zeros(2, 0, dtype=torch.int64)).shape == (0,)
    assert bool(module(h, graph, torch.tensor([[0, 1], [0, 2]])).isfinite().all())
