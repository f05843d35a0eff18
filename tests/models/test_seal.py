from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, seal
from tests.models.builders import HIDDEN, predictor

import runner as public
from runner.models.features import Features
from runner.models.predictor import View
from runner.ops.enclosing_subgraphs import enclosing_subgraphs
from runner.ops.receptive_field import receptive_field
from runner.ops.sparse_rows import SparseRows
from runner.storage.seal import read_json

build = partial(predictor, "seal")


@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize("with_features", [False, True])
def test_against_plain_loops(form, case, settle, hops, with_features):
    module = settle(build(hops=hops))
    module.prepare(case.graph, case.pairs[:, :6])
    h = case.h if with_features else case.h[:, :0]
    logit = module(h, case.graph, case.pairs).detach().numpy()
    k = int(module.k)
    expected = seal(arrays(module), h.numpy(), case.dense, case.pairs.numpy(), k=k, hops=hops)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)


def test_k_is_a_quantile_of_the_sizes_and_goes_with_a_checkpoint(case, settle):
    module = settle(build(hops=2))
    assert int(module.k) == 10
    module.prepare(case.graph, case.pairs)
    assert int(module.k) > 10
    smaller = build(hops=2, sort_quantile=0.01)
    smaller.prepare(case.graph, case.pairs)
    assert 10 <= int(smaller.k) < int(module.k)
    other = build(hops=2).double().eval()
    other.load_state_dict(module.state_dict())
    assert not any(part.training for part in other.modules())
    assert torch.equal(
        other(case.h, case.graph, case.pairs), module(case.h, case.graph, case.pairs)
    )


def test_the_link_of_the_pair_is_not_read(case, settle):
    """Also where the graph has it, as that of an evaluation may."""
    module = settle(build())
    pair = torch.stack([case.graph.row[:1], case.graph.col[:1].long()])
    kept = torch.ones(case.graph.num_entries, dtype=torch.bool)
    kept[case.graph.find(torch.cat([pair, pair.flip(0)], dim=1))] = False
    without = case.graph.keep(kept, symmetric=True)
    assert without.num_entries == case.graph.num_entries - 2
    assert torch.equal(module(case.h, without, pair), module(case.h, case.graph, pair))


def test_a_sample_is_drawn_anew_in_training_and_fixed_in_evaluation(case, settle):
    module = settle(build(nodes_per_hop=2))
    once = module(case.h, case.graph, case.pairs)
    assert torch.equal(module(case.h, case.graph, case.pairs), once)
    whole = settle(build())(case.h, case.graph, case.pairs)
    assert not torch.allclose(once, whole)
    pair = case.pairs[:, case.some][:, :1]
    field = receptive_field(case.graph, pair, reach=1, layers=0)
    view = View(field.graph, case.graph, nodes=field.nodes)
    local = module(case.h[field.nodes], view, field.local(pair))
    torch.testing.assert_close(local, once[case.some][:1])
    module.train()
    torch.manual_seed(0)
    first, second = (module(case.h, case.graph, case.pairs) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(module(case.h, case.graph, case.pairs), first)


def test_high_labels_count_as_the_highest(case, settle):
    few, many = settle(build(hops=2, labels=2)), settle(build(hops=2))
    with torch.no_grad():
        many.label.weight[2:] = few.label.weight[1]
        many.label.weight[:2] = few.label.weight
        for name, parameter in few.named_parameters():
            if name != "label.weight":
                many.get_parameter(name).copy_(parameter)
    torch.testing.assert_close(
        few(case.h, case.graph, case.pairs), many(case.h, case.graph, case.pairs)
    )


@pytest.mark.parametrize("hops", [1, 2])
def test_an_evaluation_scores_what_fits_into_memory_together(case, settle, monkeypatch, hops):
    module, graph = settle(build(hops=hops)).eval(), case.graph
    given = module(case.h, graph, case.pairs).detach()
    monkeypatch.setattr("runner.models.seal._CHUNK", 20_000)
    with torch.no_grad():
        chunks = module._chunks(graph, case.pairs)
        assert 1 < len(chunks) < case.pairs.size(1)
        for chunk in chunks:
            entries = enclosing_subgraphs(graph, chunk, hops=hops).graph.num_entries
            assert chunk.size(1) == 1 or 16 * entries <= 20_000
        torch.testing.assert_close(module(case.h, graph, case.pairs), given)


def test_features_are_mapped_and_category_ids_are_not_read(case):
    x = torch.rand(case.graph.num_nodes, 7)
    encoder = Features(num_features=7, hidden=HIDDEN)
    assert encoder.needs_features
    torch.testing.assert_close(encoder(x, case.graph), x @ encoder.linear.weight.T)
    torch.testing.assert_close(
        encoder(SparseRows.from_dense(x), case.graph), encoder(x, case.graph)
    )
    without = Features(num_features=0, num_categories=5, hidden=HIDDEN)
    assert not without.needs_features and not list(without.parameters())
    assert without(torch.arange(5), case.graph).shape == (5, 0)


@pytest.mark.parametrize("encoding", ["full", "local"])
def test_a_run_opened_again_has_its_k(made_once, encoding):
    """And a batch's part of the graph is enough."""
    setting = "dataset=lesmis", "tracker=none", "hardware.threads=1", "train.epochs=2"
    folder = made_once("model=seal", "model.nodes_per_hop=12", f"encoding={encoding}", *setting)
    summary = read_json((folder / "summary.json").read_text())
    run = public.load(folder)
    assert int(run._trained.model.predictor.k) > 10
    found = run.evaluate()
    for split in ("valid", "test"):
        assert found[split] == pytest.approx(summary[split])
    assert summary["audits"]["company"]["passed"] and summary["audits"]["training"]["passed"]
