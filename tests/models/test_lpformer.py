from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, lpformer
from tests.models.builders import predictor

from runner.errors import RunnerError
from runner.models import lpformer as module_of
from runner.models.normed_gcn import NormedGCN
from runner.models.predictor import View

ALL = [0.0, 0.01, 0.02]


def build(thresholds=ALL, **changed):
    names = ("common_threshold", "one_hop_threshold", "beyond_threshold")
    given = dict(zip(names, [*thresholds, 1, 1], strict=False))
    return predictor("lpformer", **{**given, **changed})


def thinned(case, count=9):
    """The view of a batch whose targets are the first pairs."""
    targets = case.pairs[:, :count]
    hidden = torch.cat([case.graph.find(targets), case.graph.find(targets.flip(0))])
    hidden = hidden[hidden >= 0]
    kept = torch.ones(case.graph.num_entries, dtype=torch.bool)
    kept[hidden] = False
    return case.graph.keep(kept, symmetric=True), hidden


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("thresholds", [ALL, [0.003, 0.0, 0.0], [0.0, 0.02], [0.02]])
def test_against_plain_loops(case, settle, thresholds, heads):
    module = settle(build(thresholds, heads=heads))
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    state, pairs = arrays(module), case.pairs.numpy()
    expected = lpformer(state, case.h.numpy(), case.dense, pairs, thresholds, heads=heads)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-6)  # PageRank is kept in float32


def test_blocks_change_neither_scores_nor_gradients(case, settle, monkeypatch):
    def step():
        torch.manual_seed(3)
        module = settle(build(dropout=0.2, entry_dropout=0.3)).train()
        h = case.h.clone().requires_grad_()
        logit = module(h, case.graph, case.pairs)
        return [logit, *torch.autograd.grad(logit.square().sum(), [h, *module.parameters()])]

    module = settle(build())
    whole = module(case.h, case.graph, case.pairs)
    monkeypatch.setattr(module_of, "_ENTRIES", 50)
    monkeypatch.setattr(module_of, "_STARTS", 7)
    torch.testing.assert_close(module(case.h, case.graph, case.pairs), whole)
    # A block that is computed again in the backward pass draws the same.
    again = step()
    monkeypatch.setattr(module_of, "checkpoint", lambda function, *a, use_reentrant: function(*a))
    for one, other in zip(again, step(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_batch_knows_nothing_of_its_targets(case, settle):
    module = settle(build())
    graph, hidden = thinned(case)
    of_whole = module.structure(case.graph)
    shown = module(case.h, View(graph, case.graph, hidden, structure=of_whole), case.pairs)
    assert torch.equal(shown, module(case.h, graph, case.pairs))
    evaluated = module(case.h, View.of(case.graph, of_whole), case.pairs)
    assert torch.equal(evaluated, module(case.h, case.graph, case.pairs))
    assert not torch.allclose(shown, evaluated)


def test_the_release_knows_them_by_its_pagerank(case, settle):
    leaky, honest = settle(build(targets_in_pagerank=True)), settle(build())
    graph, hidden = thinned(case)
    structure = leaky.structure(case.graph)
    view = View(graph, case.graph, hidden, structure=structure)
    found = leaky(case.h, view, case.pairs)
    assert torch.equal(found, leaky(case.h, View(graph, case.graph, hidden), case.pairs))
    assert not torch.allclose(found, honest(case.h, view, case.pairs))


def test_the_structure_holds_what_is_read_and_little_else(case, settle):
    module = settle(build([0.0, 0.05, 0.1]))
    near, beyond = module.structure(case.graph)
    assert bool((beyond["value"] >= 0.1).all())
    assert 0 < beyond["value"].numel() < near["value"].numel() < case.graph.num_nodes**2 / 2


def test_some_of_the_nodes_around_a_pair_are_left_out_in_training_only(case, settle):
    module, plain = settle(build(entry_dropout=0.5)), settle(build())
    expected = plain.around(case.h, View.of(case.graph), case.pairs)
    assert torch.equal(module.around(case.h, View.of(case.graph), case.pairs), expected)
    found = module.train().around(case.h, View.of(case.graph), case.pairs)
    share = found[:, -4:-1].sum() / expected[:, -4:-1].sum()
    assert 0.4 < share.item() < 0.6


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ([1.0, 1.0, 1.0], "common_threshold=1 would leave out"),
        ([0.0, 1.0, 0.5], "one_hop_threshold=1 leaves out one-sided .* give beyond_threshold=1"),
    ],
)
def test_classes_that_cannot_be_left_out(thresholds, message):
    with pytest.raises(ValueError, match=message):
        build(thresholds)


def test_pagerank_beyond_memory_is_refused(case, monkeypatch):
    class Full:
        available = 100

    monkeypatch.setattr(module_of.psutil, "virtual_memory", Full)
    with pytest.raises(RunnerError, match=r"model\.epsilon=1e-14: PageRank .* raise it"):
        build().structure(case.graph)


def test_a_norm_over_all_nodes_has_no_receptive_field():
    given = {"num_features": 5, "hidden": 4, "layers": 2}
    assert NormedGCN(**given).layers == 2
    assert NormedGCN(**given, norm="graph").layers is None


def test_categories_are_embedded_and_learned(case):
    encoder = NormedGCN(num_categories=case.graph.num_nodes, hidden=4)
    encoder(torch.arange(case.graph.num_nodes), case.graph).square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
