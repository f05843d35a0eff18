from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, neo_gnn
from tests.models.builders import predictor

from runner.models import neo_gnn as module_of
from runner.models.encoder import NoEncoder
from runner.models.link_model import LinkModel
from runner.models.predictor import View
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field
from runner.training.encoding import Encoded
from runner.training.objective import LinkPrediction, Step
from runner.training.samplers import Batch


@pytest.fixture
def settled(settle):
    """A module whose sums over walks leave its probabilities away from 0 and 1."""

    def build(**changed):
        module = settle(predictor("neo_gnn", **changed))
        with torch.no_grad():
            module.f_edge[2].weight *= 0.2
            module.f_node[2].weight *= 0.02
            module.g[2].weight *= 0.2
        return module

    return build


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_against_plain_loops(case, settled, beta):
    module = settled(beta=beta).train()
    found = module(case.h, case.graph, case.pairs)
    logits = [found, *module.further_logits()]
    expected = neo_gnn(arrays(module), case.h.numpy(), case.dense, case.pairs.numpy(), beta=beta)
    assert min(np.ptp(part) for part in expected) > 0.01
    for logit, probability in zip(logits, expected, strict=True):
        np.testing.assert_allclose(logit.sigmoid().detach().numpy(), probability, atol=1e-10)


def test_certain_parts_give_a_finite_logit(case, settled):
    """Where a probability rounds to 1, the logit of the mean still is one."""
    module = settled()
    with torch.no_grad():
        module.g[2].bias += 200
        module.product.mlp[-1].bias += 200
    found = module.float()(case.h.float(), case.graph, case.pairs)
    assert bool(found.isfinite().all()) and bool((found > 150).all())


def test_the_parts_are_learned_once_and_in_training_alone(case, settled):
    module = settled().train()
    module(case.h, case.graph, case.pairs)
    assert [part.shape for part in module.further_logits()] == [(case.pairs.size(1),)] * 2
    assert module.further_logits() == ()
    module.eval()(case.h, case.graph, case.pairs)
    assert module.further_logits() == ()


def test_blocks_change_neither_scores_nor_gradients(case, settled, monkeypatch):
    """A block is computed again in the backward pass."""
    module = settled()

    def step():
        logit = module(case.h, case.graph, case.pairs)
        return [logit, *torch.autograd.grad(logit.square().sum(), module.parameters())]

    whole = step()
    monkeypatch.setattr(module_of, "_ENTRIES", 20)
    for one, other in zip(step(), whole, strict=True):
        torch.testing.assert_close(one, other)


def test_the_structure_serves_what_it_is_of_and_no_thinned_graph(case, settled):
    module = settled()
    structure = module.structure(case.graph)
    plain = module(case.h, case.graph, case.pairs)
    assert torch.equal(module(case.h, View.of(case.graph, structure), case.pairs), plain)
    hidden = torch.cat([p for p in (case.graph.find(case.pairs[:, :9]),
                                    case.graph.find(case.pairs[:, :9].flip(0)))])  # fmt: skip
    hidden = hidden[hidden >= 0]
    kept = torch.ones(case.graph.num_entries, dtype=torch.bool)
    kept[hidden] = False
    thinned = case.graph.keep(kept)
    shown = module(case.h, View(thinned, case.graph, hidden, structure=structure), case.pairs)
    assert torch.equal(shown, module(case.h, thinned, case.pairs))
    assert not torch.allclose(shown, plain)


@pytest.mark.parametrize("with_structure", [False, True])
def test_four_steps_are_read_and_no_fewer(settled, with_structure):
    """Of u = 0 and v = 0 on a path, whose node 2 steps away has an entry of B 2 steps further."""
    path = torch.stack([torch.arange(9), torch.arange(1, 10)])
    # A triangle at the end of four steps changes the walks there.
    graph = Graph.from_edges(torch.cat([path, torch.tensor([[3], [5]])], dim=1), 10)
    h, pairs = torch.ones(10, 6, dtype=torch.float64), torch.tensor([[0], [0]])
    module = settled()
    expected = module(h, graph, pairs)

    def score(reach):
        field = receptive_field(graph, pairs, reach=reach, layers=0)
        structure = module.structure(graph) if with_structure else None
        view = View(field.graph, graph, None, field.nodes, structure)
        return module(h[field.nodes], view, field.local(pairs))

    torch.testing.assert_close(score(module.reach), expected)
    if not with_structure:
        assert not torch.allclose(score(module.reach - 1), expected)


def test_objective_learns_all_three(case, settled):
    """The loss of a step is the sum over the score and both parts."""
    module = settled().train()
    positives, negatives = case.pairs[:, :9], case.pairs[:, 40:52]
    batch = Batch(case.graph, positives, negatives)
    seen = Encoded(case.h, case.graph, View.of(case.graph), positives, negatives)
    step = Step(LinkModel(NoEncoder(), module), batch, seen)
    step.__dict__["embeddings"] = case.h
    found = LinkPrediction().loss(step)
    dense = neo_gnn(
        arrays(module), case.h.numpy(),
        case.dense, torch.cat([positives, negatives], dim=1).numpy(), beta=0.1,
    )  # fmt: skip
    expected = sum(-np.log(p[:9]).mean() - np.log(1 - p[9:]).mean() for p in dense)
    assert found.item() == pytest.approx(expected)
