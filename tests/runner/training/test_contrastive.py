"""CSGCL and gCooL beside slow, dense references in NumPy, and values that were computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.dense_reference import adjacency
from tests.models.builders import build_encoder
from tests.runner.training.test_communities import THREE, TWO

from runner.errors import RunnerError
from runner.models.link_model import LinkModel
from runner.models.predictor import NoPredictor
from runner.ops import all_products
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows
from runner.training.communities import strengths
from runner.training.contrastive import Seen, info_nce
from runner.training.csgcl import CSGCL, column_weights, edge_weights
from runner.training.encoding import FullEncoding
from runner.training.gcool import GCooL, deca
from runner.training.objective import Step
from runner.training.ranks import ALONE, Ranks
from runner.training.samplers import Batch
from runner.training.task import Inputs
from runner.training.views import drop_columns, keep_edges

GRAPH = Graph.from_edges(THREE, 8)
FEATURES = torch.rand(8, 7, dtype=torch.float64, generator=torch.manual_seed(0))
NONE = torch.zeros(2, 0, dtype=torch.int64)
COMMON = {
    "hidden": 5, "projection": 3, "temperature": 0.4, "edge_dropout": [0.3, 0.4],
    "column_dropout": [0.2, 0.1], "epochs": 100,
}  # fmt: skip


class Half(Ranks):
    """One of two processes."""

    size = 2

    def __init__(self, rank):
        self.rank = rank

    def share(self, pairs):
        return pairs.tensor_split(2, dim=1)[self.rank]


def csgcl(**changed):
    return _prepared(CSGCL(**COMMON, seed=0, **changed))


def gcool(**changed):
    torch.manual_seed(0)
    return _prepared(GCooL(**COMMON, communities=3, density=0.9, **changed))


def _prepared(objective, features=FEATURES):
    objective.prepared = objective.prepare(Inputs(features, GRAPH))
    objective.learned.double()
    return objective


def step(epoch=1, ranks=ALONE):
    torch.manual_seed(0)
    model = LinkModel(build_encoder(hidden=5), NoPredictor()).double()
    batch = Batch(GRAPH, NONE, NONE)
    return Step(model, batch, FullEncoding().view(Inputs(FEATURES, GRAPH), batch), ranks, epoch)


def views():
    """Two of three nodes dropped apart, and projections of length 1."""
    generator = torch.manual_seed(1)
    h = [F.normalize(torch.randn(8, 5, dtype=torch.float64, generator=generator)) for _ in "12"]
    graphs = [GRAPH, Graph.from_edges(THREE[:, 2:], 8)]
    return [Seen(graph, own) for graph, own in zip(graphs, h, strict=True)]


def dense_info_nce(a, b, tau, *, within, bonus):
    """The mean over the nodes; entry by entry."""
    total, n = 0.0, len(a)
    for i in range(n):
        s = [(a[i] @ b[j] + bonus[i] + bonus[j]) / tau for j in range(n)]
        other = [(a[i] @ a[j] + bonus[i] + bonus[j]) / tau for j in range(n) if j != i]
        total += np.log(np.exp(s + other * within).sum()) - s[i]
    return total / n


def test_info_nce_of_orthonormal_views_that_are_the_same(monkeypatch):
    monkeypatch.setattr(all_products, "_ENTRIES", 7)
    n, tau, rows = 5, 0.4, torch.arange(5)
    h = torch.eye(n, dtype=torch.float64)
    for within, others in ((True, 2 * (n - 1)), (False, n - 1)):
        found = info_nce(h, h, tau, rows, within=within) / n
        expected = -1 / tau + np.log(np.exp(1 / tau) + others)
        assert float(found) == pytest.approx(expected, rel=1e-12)
        alike = info_nce(h, h, tau, rows, within=within, bonus=torch.full((n,), 3.0)) / n
        assert float(alike) == pytest.approx(expected, rel=1e-12)  # Team-up of equal strengths


@pytest.mark.parametrize(("epoch", "factor"), [(50, 0.0), (70, 0.2), (100, 0.3)])
def test_the_loss_of_csgcl_is_that_of_the_dense_form(epoch, factor):
    objective, (one, two) = csgcl(team_up=0.3), views()
    found = objective.compare(one, two, step(epoch))
    a, b = one.h.numpy(), two.h.numpy()
    bonus = factor * objective.prepared["strength"].double().numpy()
    both = [dense_info_nce(*h, 0.4, within=True, bonus=bonus) for h in ((a, b), (b, a))]
    assert float(found) == pytest.approx(np.mean(both), rel=1e-9)


def dense_deca(assigned, a, density):
    n, edges = len(a), assigned.T @ a @ assigned
    within = (n - 1 + density) * np.trace(edges)
    return (density * edges.sum() - within) / (n * (n - 1)) + np.sum(assigned**2) / (2 * n)


@pytest.mark.parametrize("epoch", [1, 6, 11])
def test_the_loss_of_gcool_is_that_of_the_dense_form(epoch):
    objective, (one, two) = gcool(stride=0.5), views()
    found = objective.compare(one, two, step(epoch))
    h, done = [one.h.numpy(), two.h.numpy()], epoch - 1
    zero = np.zeros(8)
    total = np.mean([dense_info_nce(*x, 0.4, within=False, bonus=zero) for x in (h, h[::-1])])
    centres = F.normalize(objective.learned.centres.detach()).numpy()
    powers = [np.exp(x @ centres.T / 0.4) for x in h]
    assigned = [x / x.sum(axis=1, keepdims=True) for x in powers]
    a = [adjacency(edges.numpy(), 8) for edges in (THREE, THREE[:, 2:])]
    density = np.mean([dense_deca(*x, 0.9) for x in zip(assigned, a, strict=True)])
    contrast = 0.0
    for own, other, theirs in ((h[0], h[1], assigned[1]), (h[1], h[0], assigned[0])):
        community = theirs.argmax(axis=1)
        means = [
            other[community == c].mean(axis=0) if (community == c).any() else np.zeros(5)
            for c in range(3)
        ]
        s = own @ np.stack(means).T / 0.4
        picked = s[np.arange(8), community]
        contrast += np.mean(np.log(np.exp(s).sum(axis=1)) - picked) / 2
    weight, kappa = max(0, 1 - done / (0.2 * 50)), np.exp(-done / 50)
    total += weight * (kappa * density + (1 - kappa) * contrast)
    assert float(found.detach()) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize(
    ("assigned", "value"),
    [
        ([[1, 0]] * 3 + [[0, 1]] * 3, -1.44),
        ([[1, 0], [0, 1]] * 3, 2 / 15),
        ([[0.5, 0.5]] * 6, -0.706667),
        ([[1, 0]] * 6, -1.833333),  # lower than the right one: a collapse pays
    ],
)
def test_deca(assigned, value):
    found = deca(torch.tensor(assigned, dtype=torch.float64), Graph.from_edges(TWO, 6), 0.9)
    assert float(found) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("learns", "moved"), [("centres", False), ("all", True)])
def test_the_gradient_of_deca_reaches_the_centres_or_all(learns, moved):
    objective, one = gcool(deca_learns=learns), views()[0]
    h = one.h.clone().requires_grad_()
    found = deca(objective._assign(h), one.graph, 0.9)
    found.backward()
    assert (h.grad is not None) == moved
    assert objective.learned.centres.grad.abs().sum() > 0


def test_communal_edges_are_kept_with_the_probabilities_of_the_paper():
    community = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    objective = csgcl()
    objective.prepared = {
        "edges": edge_weights(GRAPH, community, strengths(GRAPH, community)).double()
    }
    keep = dict(zip(zip(GRAPH.row.tolist(), GRAPH.col.tolist(), strict=True),
                    objective.keep_probabilities(0.4).tolist(), strict=True))  # fmt: skip
    expected = {(0, 1): 0.7289, (3, 4): 0.8033, (0, 6): 0.1587, (2, 3): 0.0, (6, 7): 0.6446}
    for (u, v), value in expected.items():
        assert keep[u, v] == pytest.approx(value, abs=5e-5) == keep[v, u]


def test_columns_of_weak_communities_are_dropped_more():
    sums = torch.tensor([4.0, 1.0, 2.0, 0.0, -2.0])  # the fourth is empty; the last counts as 1
    expected = [0.0, 1.0, 0.5, 0.0, 1.0]
    assert column_weights(sums.double()).tolist() == pytest.approx(expected)
    objective = csgcl()
    strength = objective.prepared["strength"].double()
    log = (FEATURES.abs().T @ strength).log()
    weight = (log.max() - log) / (log.max() - log.min())
    expected = (weight / weight.mean() * 0.2).clamp(0, 1)
    torch.testing.assert_close(objective.drop_probabilities(0.2).double(), expected)
    sparse = _prepared(CSGCL(**COMMON, seed=0), SparseRows.from_dense(FEATURES))
    torch.testing.assert_close(sparse.prepared, objective.prepared)


def test_the_probabilities_of_gcool_are_those_of_degrees():
    log = GRAPH.degree().double().log()
    ends = (log[GRAPH.row] + log[GRAPH.col.long()]) / 2
    weight = (ends.max() - ends) / (ends.max() - ends.mean())
    expected = 1 - (weight / weight.mean() * 0.5).clamp(max=0.7)
    found = gcool().keep_probabilities(0.5)
    torch.testing.assert_close(found.double(), expected)
    assert found.min() == pytest.approx(0.3)
    other = gcool(centrality="pagerank").prepared["edges"]
    assert not torch.allclose(other, gcool().prepared["edges"])


def test_views_drop_both_directions_of_an_edge_together():
    keep = torch.full((GRAPH.num_entries,), 0.5)
    torch.manual_seed(0)
    together = [keep_edges(GRAPH, keep) for _ in range(50)]
    for view in together:
        assert view.symmetric and torch.equal(*(view.key[view.find(torch.stack(ends))].sort()[0]
            for ends in ((view.row, view.col.long()), (view.col.long(), view.row))))  # fmt: skip
    share = np.mean([view.num_entries / GRAPH.num_entries for view in together])
    assert 0.4 < share < 0.6
    apart = [keep_edges(GRAPH, keep, apart=True) for _ in range(5)]
    assert any((view.find(torch.stack([view.col.long(), view.row])) < 0).any() for view in apart)
    assert keep_edges(GRAPH, keep * 2).num_entries == GRAPH.num_entries


def test_dropped_columns_are_zero_in_both_forms():
    drop = torch.tensor([0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    for features in (FEATURES, SparseRows.from_dense(FEATURES)):
        torch.manual_seed(0)
        found = drop_columns(features, drop)
        dense = found if isinstance(found, torch.Tensor) else found.to_dense()
        kept = dense.abs().sum(dim=0) > 0
        assert kept[0] and not kept[1] and 0 < kept[2:].sum() < 5
        torch.testing.assert_close(dense, FEATURES * kept)


@pytest.mark.parametrize("make", [csgcl, gcool])
def test_the_shares_of_processes_add_up(make):
    objective = make()

    def gradients(*ranks):
        objective.learned.zero_grad()
        total, encoder = 0.0, []
        for own in ranks:
            taken = step(2, own)
            torch.manual_seed(3)
            share = objective.loss(taken)
            share.backward()
            total += float(share.detach())
            encoder.append([p.grad for p in taken.model.parameters()])
        sums = [sum(of) for of in zip(*encoder, strict=True)]
        return total, [*sums, *(p.grad.clone() for p in objective.learned.parameters())]

    whole, shared = gradients(ALONE), gradients(Half(0), Half(1))
    assert shared[0] == pytest.approx(whole[0], rel=1e-9)
    for one, other in zip(whole[1], shared[1], strict=True):
        torch.testing.assert_close(one, other)
    assert all(gradient.abs().sum() > 0 for gradient in whole[1])


def test_without_features_no_columns_are_dropped():
    objective = _prepared(CSGCL(**COMMON, seed=0), torch.arange(8))
    assert "columns" not in objective.prepared


def test_one_community_drops_all_edges_alike():
    objective = csgcl()
    one = torch.zeros(8, dtype=torch.int64)
    objective.prepared = {"edges": edge_weights(GRAPH, one, strengths(GRAPH, one))}
    assert objective.keep_probabilities(0.25).tolist() == pytest.approx([0.75] * GRAPH.num_entries)


def test_an_encoder_without_weights_is_refused():
    model = LinkModel(torch.nn.Identity(), NoPredictor())
    with pytest.raises(RunnerError, match="this one has no weights"):
        csgcl().check(model, None)
