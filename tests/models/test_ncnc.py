from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, ncn, ncnc
from tests.grids import every_pair
from tests.models.builders import CONSTANTS, predictor

from runner.models.completion import Completion, LearnedPrior
from runner.models.inner_ncn import InnerNCN
from runner.models.predictor import View
from runner.ops import backend
from runner.ops.overlap import neighbourhoods

build = partial(predictor, "ncnc")


@every_pair(last_linear=[False, True], two_layer_head=[False, True], node_transform=[False, True])
def test_against_plain_loops(case, settle, last_linear, two_layer_head, node_transform):
    module = settle(
        build(node_transform=node_transform, last_linear=last_linear, two_layer_head=two_layer_head)
    )
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    state = arrays(module.ncn)
    expected = ncnc(state, case.h.numpy(), case.dense, case.pairs.numpy(), CONSTANTS)
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)
    # The completion matters here: without it, this is an NCN.
    plain = ncn(state, case.h.numpy(), case.dense, case.pairs.numpy())
    assert np.abs(expected - plain).max() > 1e-2


@pytest.mark.parametrize("chunk_size", [None, 50])
def test_depth_two_against_plain_loops(case, settle, chunk_size):
    pairs = case.pairs[:, ::9]
    module = settle(build(depth=2, completion={"chunk_size": chunk_size}))
    logit = module(case.h, case.graph, pairs).detach().numpy()
    state, h = arrays(module.ncn), case.h.numpy()
    expected = ncnc(state, h, case.dense, pairs.numpy(), CONSTANTS, depth=2)
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)
    assert np.abs(expected - ncnc(state, h, case.dense, pairs.numpy(), CONSTANTS)).max() > 1e-3


def test_depth_must_be_positive():
    with pytest.raises(ValueError, match="depth must be at least 1"):
        build(depth=0)


@pytest.mark.parametrize("chunk_size", [1, 7, 10_000])
def test_chunk_size_changes_nothing_in_evaluation(case, settle, chunk_size):
    whole = settle(build())(case.h, case.graph, case.pairs)
    chunked = settle(build(completion={"chunk_size": chunk_size}))(case.h, case.graph, case.pairs)
    torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-12)


def test_keeping_many_is_keeping_all(case, settle):
    whole = settle(build())(case.h, case.graph, case.pairs)
    kept = settle(build(completion={"keep_eval": 50}))(case.h, case.graph, case.pairs)
    torch.testing.assert_close(kept, whole, rtol=0, atol=1e-12)
    one = settle(build(completion={"keep_eval": 1}))(case.h, case.graph, case.pairs)
    assert not torch.allclose(one, whole)


def test_without_one_sided_neighbours_it_is_an_ncn(case, settle):
    module = settle(build())
    module.completion.alpha = 0.0
    torch.testing.assert_close(
        module(case.h, case.graph, case.pairs), module.ncn(case.h, case.graph, case.pairs)
    )


class InnerLogitsHeld:
    """Runs a module with the inner logits of its first run, whatever it is given later."""

    def __init__(self, module, monkeypatch):
        self.module, self.held, self.next, self.inside = module, [], None, False
        self.original = module._logit
        monkeypatch.setattr(module, "_logit", self.logit)

    def __call__(self, named, *arguments):
        out = torch.func.functional_call(self.module, named, arguments)
        self.next = iter(self.held)
        return out

    def logit(self, levels, graph, pairs):
        if self.inside:
            return self.original(levels, graph, pairs)
        if self.next is not None:
            return next(self.next)
        self.inside = True  # hold this level alone
        logit = self.original(levels, graph, pairs)
        self.inside = False
        self.held.append(logit)
        return logit


@pytest.mark.parametrize("form", ["depth 1", "depth 2", "learned t"])
def test_gradient_is_that_of_held_inner_logits(case, settle, monkeypatch, form):
    """They have no gradient, a learned t has: finite differences agree once they are held."""
    case.pairs = case.pairs[:, ::7]
    module = build(depth=2 if form == "depth 2" else 1)
    if form == "learned t":
        module.completion.t = LearnedPrior(hidden=6)
    module = settle(module)
    held = InnerLogitsHeld(module, monkeypatch)
    h = case.h.clone().requires_grad_()
    parameters = dict(module.named_parameters())
    logit = held(parameters, h, case.graph, case.pairs)
    assert held.held and not any(inner.requires_grad for inner in held.held)
    upstream = torch.randn(logit.shape, generator=torch.manual_seed(1), dtype=torch.float64)
    inputs = {"h": h, **parameters}
    gradients = torch.autograd.grad(logit, list(inputs.values()), upstream)

    def value(name, shifted):
        named = {**inputs, name: shifted}
        given = named.pop("h")
        with torch.no_grad():
            return (held(named, given, case.graph, case.pairs) * upstream).sum()

    step = 1e-6
    for (name, tensor), gradient in zip(inputs.items(), gradients, strict=True):
        direction = torch.randn(tensor.shape, generator=torch.manual_seed(2), dtype=torch.float64)
        slope = (
            value(name, tensor + step * direction) - value(name, tensor - step * direction)
        ) / (2 * step)
        torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-5, atol=1e-6)


def test_inner_edge_dropout_is_drawn_for_every_side_and_chunk(case, settle, monkeypatch):
    """On top of the outer draw, as in the release."""
    module = settle(build(edge_dropout=0.3, completion={"chunk_size": 20})).train()
    drawn = []

    def thin(graph):
        drawn.append((graph, original(graph)))
        return drawn[-1][1]

    original = module.ncn.thin
    monkeypatch.setattr(module.ncn, "thin", thin)
    module(case.h, case.graph, case.pairs)
    outer, inner = drawn[0], drawn[1:]
    assert outer[0] is case.graph
    assert all(given is outer[1] for given, _ in inner)
    _, only_u, only_v = neighbourhoods(outer[1], case.pairs)
    chunks = [-(-lists.node.numel() // 20) for lists in (only_u, only_v)]
    assert len(inner) == sum(chunks)
    assert len({tuple(thinned.key.tolist()) for _, thinned in inner}) == len(inner)


@pytest.mark.parametrize("training", [False, True])
def test_inner_dropout_is_on_in_training(case, settle, monkeypatch, training):
    module = settle(build(dropout=0.5)).train(training)
    seen = []

    class Spy(InnerNCN):
        def __init__(self, *given, dropout, **others):
            seen.append(dropout)
            super().__init__(*given, dropout=dropout, **others)

    monkeypatch.setattr("runner.models.ncnc.InnerNCN", Spy)
    module(case.h, case.graph, case.pairs)
    assert seen == [training]


def test_node_transform_runs_twice_whatever_the_chunks(case, settle, monkeypatch):
    module = settle(build(completion={"chunk_size": 1}))
    calls = []
    original = module.ncn.g.run
    monkeypatch.setattr(
        module.ncn.g, "run", lambda h, **given: calls.append(h) or original(h, **given)
    )
    module(case.h, case.graph, case.pairs)
    assert len(calls) == 2
    assert torch.equal(calls[0], case.h)


def test_contains_an_ncn_and_its_completion():
    names = {name.split(".")[0] for name in build().state_dict()}
    assert names == {"ncn", "completion"}


@pytest.mark.parametrize("depth", [1, 2])
def test_without_inner_dropout_training_completes_as_evaluation(case, settle, depth):
    """With the outer dropout at 0, training with edge dropout sees one thinned graph throughout."""
    pairs = case.pairs[:, ::9]
    module = settle(build(completion={"dropout": False}, edge_dropout=0.4, depth=depth))
    torch.manual_seed(4)
    thinned = module.train().ncn.thin(case.graph)
    torch.manual_seed(4)
    in_training = module(case.h, case.graph, pairs)
    torch.testing.assert_close(in_training, module.eval()(case.h, thinned, pairs))
    torch.manual_seed(4)
    with_dropout = settle(build(edge_dropout=0.4, depth=depth)).train()(case.h, case.graph, pairs)
    assert not torch.allclose(in_training, with_dropout)


def test_without_inner_dropout_the_transform_has_none_there_either(case, settle, monkeypatch):
    module = settle(build(completion={"dropout": False}, dropout=0.5)).train()
    given = []
    original = module.ncn.g.run

    def run(h, *, dropout, seed=None):
        given.append(dropout)
        return original(h, dropout=dropout, seed=seed)

    monkeypatch.setattr(module.ncn.g, "run", run)
    module(case.h, case.graph, case.pairs)
    assert given == [True, False]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("training", [False, True])
def test_both_forms_agree(case, settle, training, depth):
    """Values and gradients, of one step with dropout at 0."""
    pairs = case.pairs[:, ::5]
    module = settle(build(depth=depth, last_linear=True)).train(training)
    h = case.h.clone().requires_grad_()
    wanted = [h, *(p for p in module.parameters() if p.requires_grad)]

    def results():
        logit = module(h, case.graph, pairs)
        return logit, *torch.autograd.grad(logit.square().sum(), wanted)

    compiled = results()
    with backend.plain():
        plain = results()
    for a, b in zip(compiled, plain, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("form", ["table", "no room for a table", "sampled"])
def test_prepared_scores_are_those_of_forward(case, settle, monkeypatch, depth, form):
    """And with a table no inner pair is scored twice, in whatever batches the pairs come."""
    changed = {"no room for a table": {"memory_gib": 5e-6}, "sampled": {"keep_eval": 2}}
    module = settle(build(depth=depth, completion=changed.get(form)))
    scored = []
    original = InnerNCN.__call__

    def spy(self, graph, pairs):
        scored.append(pairs.sort(dim=0)[0])
        return original(self, graph, pairs)

    monkeypatch.setattr(InnerNCN, "__call__", spy)
    state = module.completion.generator.get_state()
    batches = case.pairs.split(13, dim=1)
    expected = torch.cat([module(case.h, case.graph, batch) for batch in batches])
    calls, scored[:] = torch.cat(scored, dim=1).size(1), []
    module.completion.generator.set_state(state)
    score = module.scorer(case.h, case.graph)
    found = torch.cat([score(batch) for batch in batches])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    together = torch.cat(scored, dim=1)
    if form == "table":
        assert together.size(1) == together.unique(dim=1).size(1) < calls


def test_without_inner_dropout_training_draws_none_inside(case, settle):
    """At depth 2 the head of the inner NCNC is the training module's own."""
    module = settle(build(depth=2, dropout=0.5, completion={"dropout": False})).train()
    levels = module._levels(case.h, View.of(case.graph), remember=False)
    first, second = (module._logit(levels.below(), case.graph, case.pairs) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("depth", [1, 2])
def test_precision_rounds_the_inner_predictor_alone(case, settle, depth):
    exact, rounded = (
        settle(build(depth=depth, completion={"precision": precision})).float()
        for precision in (None, "bfloat16")
    )
    h = case.h.float()
    inner, inner_rounded = (
        module._levels(h, View.of(case.graph), remember=False) for module in (exact, rounded)
    )
    assert inner.innermost.dtype == torch.float32
    assert inner_rounded.innermost.dtype == torch.bfloat16
    expected, found = (module(h, case.graph, case.pairs) for module in (exact, rounded))
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


def test_unknown_precision():
    with pytest.raises(ValueError, match=r"precision must be .*'half'"):
        build(completion={"precision": "half"})


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("learned", [False, True])
def test_completion_probabilities_are_the_weights_of_evaluation(
    case, settle, monkeypatch, depth, learned
):
    module = settle(build(depth=depth)).eval()
    if learned:
        module.completion.t = settle(LearnedPrior(hidden=6))
    weights = []
    complete = Completion.forward

    def noted(*arguments, **named):
        weighed = complete(*arguments, **named)
        weights.append(torch.cat([weight for _, weight in weighed]))
        return weighed

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(Completion, "forward", noted)
        module(case.h, case.graph, case.pairs)
    expected = weights[-1]  # those of the levels below end before
    found = module.completion_probabilities(case.h, case.graph, case.pairs, most=10**6)
    torch.testing.assert_close(found, expected)
    assert found.numel() > 10 and found.unique().numel() > 10


def test_completion_probabilities_are_few_and_draw_nothing(case, settle):
    module = settle(build(completion={"keep_eval": 1})).eval()
    every = module.completion_probabilities(case.h, case.graph, case.pairs, most=10**6)
    before = module.completion.get_extra_state(), torch.get_rng_state()
    few = module.completion_probabilities(case.h, case.graph, case.pairs, most=7)
    assert 0 < few.numel() <= 7
    assert (few.unsqueeze(1) - every).abs().amin(1).max() < 1e-9
    assert torch.equal(module.completion.get_extra_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_completion_probabilities_of_no_neighbours_and_of_training(case, settle):
    module = settle(build())
    nobody = torch.zeros(2, 0, dtype=torch.int64)
    assert module.eval().completion_probabilities(case.h, case.graph, nobody, most=5).shape == (0,)
    with pytest.raises(RuntimeError, match="eval"):
        module.train().completion_probabilities(case.h, case.graph, case.pairs, most=5)


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("depth", [1, 2])
def test_neighbours_of_evaluation_are_drawn_by_the_pair_alone(case, settle, depth, replacement):
    completion = {"keep_eval": 2, "replacement": replacement}
    module = settle(build(depth=depth, completion=completion))
    state = module.completion.get_extra_state()
    together = module(case.h, case.graph, case.pairs)
    turned = module(case.h, case.graph, case.pairs.flip(0))
    alone = torch.cat([module(case.h, case.graph, pair) for pair in case.pairs.split(1, dim=1)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-11)
    torch.testing.assert_close(turned, together, rtol=0, atol=1e-11)
    assert torch.equal(module.completion.get_extra_state(), state)
    others = [
        settle(build(depth=depth, completion={**completion, **changed}))
        for changed in ({"seed": 1}, {"draw_eval": "generator"})
    ]
    for other in others:
        assert not torch.allclose(other(case.h, case.graph, case.pairs), together)
