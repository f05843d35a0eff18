"""What holds of every predictor."""

from __future__ import annotations

import pytest
import torch
from tests.dense_reference import NUM_NODES
from tests.models.builders import PREDICTORS, TWO_LAYER, predictor
from torch import nn

from runner.models.heuristics import (
    AdamicAdar,
    CommonNeighbours,
    Katz,
    PersonalisedPageRank,
    ResourceAllocation,
    ShortestPath,
)
from runner.models.link_model import LinkModel
from runner.models.predictor import View
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field

MODELS = tuple(PREDICTORS)
# The order of a pair counts, as in the releases.
ORDERED = ("ocn", "ocnp", "ncnc_ocn", "bilinear")
# The order of the nodes counts: they are combined in it.
NUMBERED = ("ncn_diff_lcm",)
HEURISTICS = (
    CommonNeighbours, AdamicAdar, ResourceAllocation, PersonalisedPageRank, Katz, ShortestPath,
)  # fmt: skip


def build(model, *, chunk_size=50, **changed):
    return predictor(model, **TWO_LAYER, completion={"chunk_size": chunk_size}, **changed)


@pytest.fixture(params=MODELS)
def model(request):
    return request.param


def test_symmetric_in_the_pair(model, case, settle):
    module = settle(build(model))
    one, other = (module(case.h, case.graph, p) for p in (case.pairs, case.pairs.flip(0)))
    assert torch.allclose(one, other) == (model not in ORDERED)


def test_relabelling_the_nodes_changes_nothing(model, case, settle):
    module = settle(build(model))
    order = torch.randperm(NUM_NODES, generator=torch.manual_seed(0))
    edges = torch.stack((order[case.graph.row], order[case.graph.col]))
    h = torch.empty_like(case.h)
    h[order] = case.h
    found = module(h, Graph.from_edges(edges, NUM_NODES), order[case.pairs])
    expected = module(case.h, case.graph, case.pairs)
    assert torch.allclose(found, expected, rtol=1e-7, atol=1e-7) == (model not in NUMBERED)


def test_each_pair_is_scored_alone(model, case, settle):
    module = settle(build(model))
    whole = module(case.h, case.graph, case.pairs)
    some = case.some
    apart = torch.cat([module(case.h, case.graph, p) for p in case.pairs[:, some].split(1, dim=1)])
    torch.testing.assert_close(apart, whole[some])


@pytest.mark.parametrize("way", ["scorer", "fast_scorer"])
@pytest.mark.parametrize("gradient", [False, True])
def test_prepared_for_a_graph(model, case, settle, gradient, way):
    """In evaluation; ten pairs at a time, all at once, and none."""
    module = settle(build(model))
    expected = module(case.h, case.graph, case.pairs)
    with torch.set_grad_enabled(gradient):
        score = getattr(LinkModel(nn.Identity(), module), way)(case.h, case.graph)
        found = torch.cat([score(pairs) for pairs in case.pairs.split(10, dim=1)])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
        torch.testing.assert_close(score(case.pairs), expected, rtol=0, atol=1e-11)
        assert score(case.pairs[:, :0]).shape == (0,)
        with pytest.raises(ValueError, match="ids"):
            score(case.pairs + NUM_NODES)


def test_evaluation_keeps_its_bits(model, case, settle):
    module = settle(build(model))
    with torch.no_grad():
        score = module.scorer(case.h, case.graph)
        assert torch.equal(score(case.pairs), module(case.h, case.graph, case.pairs))


@pytest.mark.parametrize("training", [False, True])
def test_no_pairs(model, case, settle, training):
    module = settle(build(model, dropout=0.3, edge_dropout=0.3)).train(training)
    logit = module(case.h, case.graph, case.pairs[:, :0])
    assert logit.shape == (0,)
    assert logit.dtype == torch.float64


@pytest.mark.parametrize("training", [False, True])
def test_finite_without_any_neighbour(model, case, settle, training):
    module = settle(build(model, dropout=0.3, edge_dropout=0.3)).train(training)
    graph = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), NUM_NODES)
    h = case.h.requires_grad_()
    logit = module(h, graph, case.pairs)
    assert logit.shape == (case.pairs.size(1),)
    logit.sum().backward()
    assert bool(logit.isfinite().all())
    assert bool(h.grad.isfinite().all())
    for parameter in module.parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all())


def test_every_parameter_is_trained(model, case, settle):
    module = settle(build(model, dropout=0.2, edge_dropout=0.2)).train()
    module(case.h.requires_grad_(), case.graph, case.pairs).square().sum().backward()
    assert bool(case.h.grad.any())
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_is_a_row_of_the_type_of_h(model, case, settle, dtype):
    module = settle(build(model)).to(dtype)
    logit = module(case.h.to(dtype), case.graph, case.pairs)
    assert logit.dtype == dtype
    assert logit.shape == (case.pairs.size(1),)


def test_single_precision_is_close_to_double(model, case, settle):
    module = settle(build(model))
    double = module(case.h, case.graph, case.pairs)
    single = module.float()(case.h.float(), case.graph, case.pairs)
    torch.testing.assert_close(single.double(), double, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("model", ["ncnc", "ncnc2", "ncnc_learned_t", "ncnc_ocn"])
@pytest.mark.parametrize("chunk_size", [1, None])
def test_chunks_change_no_step_without_dropout(model, case, settle, chunk_size):
    """Loss and gradients in training, which the chunks of the inner predictor must not move."""

    def step(chunk_size):
        module = settle(build(model, chunk_size=chunk_size)).train()
        h = case.h.clone().requires_grad_()
        module(h, case.graph, case.pairs[:, ::9]).square().sum().backward()
        return [h.grad, *(parameter.grad for parameter in module.parameters())]

    for one, other in zip(step(9), step(chunk_size), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("heuristic", HEURISTICS)
def test_heuristics_hold_the_same(heuristic, case):
    """Output, symmetry, relabelling, each pair alone, isolated nodes, no pairs."""
    score = heuristic()
    found = score(case.h, case.graph, case.pairs)
    assert found.shape == (case.pairs.size(1),) and found.dtype == torch.float64
    assert bool(found.isfinite().all()) and bool(found.any())
    torch.testing.assert_close(score(case.h, case.graph, case.pairs.flip(0)), found)
    order = torch.randperm(NUM_NODES, generator=torch.manual_seed(0))
    edges = torch.stack((order[case.graph.row], order[case.graph.col]))
    relabelled = Graph.from_edges(edges, NUM_NODES)
    torch.testing.assert_close(score(case.h, relabelled, order[case.pairs]), found)
    some = case.some
    apart = torch.cat([score(case.h, case.graph, p) for p in case.pairs[:, some].split(1, dim=1)])
    torch.testing.assert_close(apart, found[some])
    empty = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), NUM_NODES)
    assert bool(score(case.h, empty, case.pairs).isfinite().all())
    assert score(case.h, case.graph, case.pairs[:, :0]).shape == (0,)
    assert not list(score.parameters())


@pytest.mark.parametrize(
    "name",
    [
        "gae", "gae_cn", "ncn", "ncn_diff", "ncn2", "ocn", "ocnp", "lpformer", "neo_gnn",
        "mplp_mlp", "refined_gae", "bilinear", "concat_mlp",
    ],
)  # fmt: skip
def test_gradient(name, case, settle):
    module = settle(build(name))
    h = case.h.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda h: module(h, case.graph, case.pairs[:, ::5]), h, fast_mode=True
    )


def test_training_repeats_to_the_bit_with_threads(model, case):
    """Many pairs that share few nodes, where an unordered sum would show."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        module = build(model, dropout=0.2, edge_dropout=0.2, chunk_size=2000)
        pairs = case.pairs.repeat(1, 20)
        runs = []
        for _ in range(3):
            torch.manual_seed(0)
            h = case.h.float().requires_grad_()
            logit = module(h, case.graph, pairs)
            inputs = [h, *module.parameters()]
            runs.append((logit, *torch.autograd.grad(logit.square().sum(), inputs)))
    finally:
        torch.set_num_threads(threads)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


def test_state_goes_into_another_instance(model, case, settle):
    module, other = settle(build(model)), build(model).double().eval()
    other.load_state_dict(module.state_dict())
    assert torch.equal(
        other(case.h, case.graph, case.pairs), module(case.h, case.graph, case.pairs)
    )


@pytest.mark.parametrize("model", sorted(set(MODELS) - {"lpformer"}))  # PageRank has no end
def test_what_lies_within_reach_is_enough_and_no_less(case, settle, model):
    predictor = settle(build(model))
    pairs = case.pairs[:, case.some]
    expected = predictor(case.h, case.graph, pairs)

    def scores(reach):
        """Of every pair alone, of which few others are near."""
        found = []
        for pair in pairs.split(1, dim=1):
            field = receptive_field(case.graph, pair, reach=reach, layers=0)
            view = View(field.graph, case.graph, nodes=field.nodes)
            found.append(predictor(case.h[field.nodes], view, field.local(pair)))
        return torch.cat(found)

    torch.testing.assert_close(scores(predictor.reach), expected)
    if predictor.reach and model != "neo_gnn":  # this graph is too small for its four steps
        assert not torch.allclose(scores(predictor.reach - 1), expected)
