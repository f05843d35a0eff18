"""Explanations against what plain loops score once a node is really taken out of its pool."""

from __future__ import annotations

import math
from functools import partial

import networkx
import numpy as np
import pytest
import torch
from tests.dense_reference import (
    HUB,
    arrays,
    f_cn,
    f_pair,
    head,
    ncn_with_second,
    ncnc_weights,
    neighbours,
    overlap,
    transform,
)  # fmt: skip
from tests.models.builders import CONSTANTS, HIDDEN, TWO_LAYER, predictor
from torch import nn

from runner.models import explanation
from runner.models.heuristics import (
    AdamicAdar,
    CommonNeighbours,
    Katz,
    PersonalisedPageRank,
    ResourceAllocation,
    ShortestPath,
)
from runner.models.lcm import LCM
from runner.models.link_model import LinkModel
from runner.models.predictor import Predictor, View
from runner.ops.csr import Graph

COMMON = "common neighbours"
ALONE = ("neighbours of the source alone", "neighbours of the target alone")
TWO_STEPS = (
    "neighbours of the source two steps from the target",
    "neighbours of the target two steps from the source",
)
ALL = ("gae", "gae_cn", "ncn", "ncn_diff", "ncn2", "ncnc", "ncnc2", "ncnc_learned_t")
WALKS = (Katz, PersonalisedPageRank, ShortestPath)
OVERLAPS = (CommonNeighbours, AdamicAdar, ResourceAllocation)


def build(name, settle, **changed):
    return settle(predictor(name, **TWO_LAYER, **changed))


def explained(case, module, chosen):
    """Pair by pair: its ends, what explains it, and its parts as lists by name."""
    for pair in case.pairs[:, chosen].T:
        found = module.explain(case.h, case.graph, pair)
        score = module.scorer(case.h, case.graph)(pair.unsqueeze(1))
        assert found.score == score.item(), "not as it is scored"
        assert all(part.contribution.dtype == torch.float64 for part in found.parts)
        yield *pair.tolist(), found, {part.name: part for part in found.parts}


def without(lists, at):
    return [node for place, node in enumerate(lists) if place != at]


def close(contribution, expected):
    np.testing.assert_allclose(contribution.numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "monoid"),
    [("ncn", False), ("ncn_diff", False), ("ncn2", False), ("ncn_diff", True), ("ncn2", True)],
)
def test_relatives_of_ncn_without_each_node(case, settle, name, monoid):
    pool = {"pool": LCM(hidden=HIDDEN, identity="learned")} if monoid else {}
    module = build(name, settle, **pool)
    state, h, square = arrays(module), case.h.numpy(), case.dense @ case.dense
    moved = 0
    for u, v, found, parts in explained(case, module, case.some):
        common, only_u, only_v = overlap(case.dense, u, v)
        seconds = (
            {"ncn": (), "ncn_diff": (only_u, only_v)}.get(name)
            if name != "ncn2"
            else (
                [w for w in neighbours(case.dense, u) if square[v, w]],
                [w for w in neighbours(case.dense, v) if square[u, w]],
            )
        )
        names = {"ncn": (), "ncn_diff": ALONE, "ncn2": TWO_STEPS}[name]
        lists = {COMMON: common, **dict(zip(names, seconds, strict=True))}
        assert {name: part.node.tolist() for name, part in parts.items()} == lists

        def score(lists, names=names, u=u, v=v):
            more = [w for name in names for w in lists[name]]
            if names:
                pair = np.array([[u], [v]])
                return ncn_with_second(state, h, pair, [lists[COMMON]], [more])[0]
            x = transform(state, h)
            pooled = sum((x[w] for w in lists[COMMON]), np.zeros(h.shape[1]))
            return head(state, state["beta"] * f_cn(state, pooled) + f_pair(state, h[u] * h[v]))

        assert score(lists) == pytest.approx(found.score, abs=1e-10)
        for of, nodes in lists.items():
            less = [score({**lists, of: without(nodes, at)}) for at in range(len(nodes))]
            close(parts[of].contribution, found.score - np.array(less))
            moved += len(nodes)
    assert moved > 50


@pytest.mark.parametrize("depth", [1, 2])
def test_ncnc_without_each_neighbour_and_its_probability(case, settle, depth):
    module = build("ncnc", settle, depth=depth)
    state, h = arrays(module.ncn), case.h.numpy()
    x = transform(state, h)
    for u, v, found, parts in explained(case, module, case.some[:: depth * 2]):
        weights = ncnc_weights(state, x, case.dense, u, v, CONSTANTS, depth)
        terms = {COMMON: dict.fromkeys(overlap(case.dense, u, v)[0], 1.0)}
        terms |= dict(zip(ALONE, weights, strict=True))
        assert {name: part.node.tolist() for name, part in parts.items()} == {
            name: list(of) for name, of in terms.items()
        }

        def score(left_out=None, terms=terms, u=u, v=v):
            pooled = sum(
                (p * x[w] for name, of in terms.items() for w, p in of.items()
                 if (name, w) != left_out),
                np.zeros(h.shape[1]),
            )  # fmt: skip
            return head(state, state["beta"] * f_cn(state, pooled) + f_pair(state, h[u] * h[v]))

        assert score() == pytest.approx(found.score, abs=1e-10)
        for name, of in terms.items():
            close(parts[name].contribution, [found.score - score((name, w)) for w in of])
        for name in ALONE:
            close(parts[name].columns["completion probability"], list(terms[name].values()))
        assert "completion probability" not in parts[COMMON].columns


def test_ncnc_explains_the_neighbours_that_it_draws(case, settle):
    """The score, the nodes and the weights are of one draw."""
    module = build("ncnc", settle, completion={"keep_eval": 2})
    state, h = arrays(module.ncn), case.h.numpy()
    x, (u, v) = transform(state, h), (HUB, 3)
    all_of = overlap(case.dense, u, v)
    found = module.explain(case.h, case.graph, torch.tensor([u, v]))
    pooled = sum((x[w] for w in all_of[0]), np.zeros(h.shape[1]))
    for part, nodes in zip(found.parts[1:], all_of[1:], strict=True):
        assert part.node.numel() == min(2, len(nodes)) and set(part.node.tolist()) <= set(nodes)
        pooled = pooled + part.columns["weight"].numpy() @ x[part.node.numpy()]
    expected = head(state, state["beta"] * f_cn(state, pooled) + f_pair(state, h[u] * h[v]))
    assert found.score == pytest.approx(expected, abs=1e-10)


def test_gae_cn_with_one_common_neighbour_less(case, settle):
    module = build("gae_cn", settle)
    state, h = arrays(module), case.h.numpy()

    def score(count, u, v):
        joint = state["beta"] * f_cn(state, np.array([float(count)])) + f_pair(state, h[u] * h[v])
        return head(state, joint)

    for u, v, found, parts in explained(case, module, case.some):
        common = overlap(case.dense, u, v)[0]
        assert parts[COMMON].node.tolist() == common
        less = found.score - score(len(common) - 1, u, v)
        close(parts[COMMON].contribution, [less] * len(common))


@pytest.mark.parametrize("kind", OVERLAPS)
def test_terms_of_a_heuristic_sum_to_its_score(case, kind):
    degree = case.dense.sum(0)
    for u, v, found, _ in explained(case, kind().eval(), case.some):
        (terms,) = found.parts
        assert terms.node.tolist() == overlap(case.dense, u, v)[0]
        assert float(terms.contribution.sum()) == pytest.approx(found.score)
        np.testing.assert_array_equal(terms.columns["degree"], degree[terms.node])


@pytest.mark.parametrize("build_one", [*WALKS, partial(build, "gae")])
def test_others_show_common_neighbours_and_the_shortest_path(case, settle, build_one):
    module = build_one(settle) if isinstance(build_one, partial) else build_one().eval()
    peer = networkx.from_numpy_array(case.dense)
    lengths = dict(networkx.all_pairs_shortest_path_length(peer))
    for pair in case.pairs[:, case.some].T:
        u, v = pair.tolist()
        found = module.explain(case.h, View.of(case.graph), pair.unsqueeze(1))
        assert found.score == module(case.h, case.graph, pair.unsqueeze(1)).item()
        assert found.facts == {"shortest path": lengths[u].get(v, math.inf)}
        (common,) = found.parts
        assert common.contribution is None and common.node.tolist() == overlap(case.dense, u, v)[0]


@pytest.mark.parametrize("name", ["ncn_diff", "ncnc"])
def test_blocks_change_nothing(case, settle, monkeypatch, name):
    module = build(name, settle)
    pair = torch.tensor([HUB, 3])
    whole = module.explain(case.h, case.graph, pair)
    assert max(part.node.numel() for part in whole.parts) > 4
    monkeypatch.setattr(explanation, "_ROWS", 2)
    for one, other in zip(whole.parts, module.explain(case.h, case.graph, pair).parts, strict=True):
        assert torch.equal(one.node, other.node)
        torch.testing.assert_close(one.contribution, other.contribution, rtol=0, atol=1e-12)


def test_one_of_many_keeps_its_digits_in_single_precision():
    """10,000 common neighbours, of which each adds less than float32 can tell."""
    count = 10_000
    ends = torch.arange(2).repeat_interleave(count)
    graph = Graph.from_edges(torch.stack([ends, torch.arange(2, 2 + count).repeat(2)]), 2 + count)
    torch.manual_seed(0)
    module, h = predictor("ncn", **TWO_LAYER).eval(), torch.randn(2 + count, 6)
    single = module.explain(h, graph, torch.tensor([0, 1])).parts[0].contribution
    double = module.double().explain(h.double(), graph, torch.tensor([0, 1])).parts[0].contribution
    assert single.numel() == count
    torch.testing.assert_close(single, double, rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_what_is_no_pair_to_explain_is_refused(case, settle, name):
    module = build(name, settle)
    for wrong in (torch.tensor([[0, 1], [1, 2]]), torch.tensor([0, 99]), torch.tensor([0.0, 1.0])):
        with pytest.raises(ValueError, match="pair"):
            module.explain(case.h, case.graph, wrong)
    with pytest.raises(RuntimeError, match="eval"):
        module.train().explain(case.h, case.graph, torch.tensor([0, 1]))


@pytest.mark.parametrize("name", ALL)
def test_an_explanation_has_no_gradient_and_leaves_the_module_as_it_was(case, settle, name):
    module = build(name, settle)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    found = module.explain(case.h.requires_grad_(), case.graph, torch.tensor([HUB, 3]))
    for part in found.parts:
        assert part.contribution is None or not part.contribution.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_under_autocast_the_score_is_that_of_the_scorer(case):
    model = LinkModel(nn.Identity(), predictor("ncn", **TWO_LAYER), precision=torch.bfloat16).eval()
    h, pair = case.h.float(), torch.tensor([[HUB], [3]])
    found = model.explainer(h, case.graph)(pair)
    with torch.no_grad():  # with a gradient, bfloat16 is rounded elsewhere
        assert found.score == float(model.scorer(h, case.graph)(pair))
    exact = LinkModel(nn.Identity(), model.predictor).explainer(h, case.graph)(pair)
    assert found.score != exact.score


def test_a_predictor_of_a_users_own_is_explained_too(case):
    class Own(Predictor):
        def forward(self, h, view, pairs):
            return h[pairs[0]].sum(1) - h[pairs[1]].sum(1)

    found = Own().eval().explain(case.h, case.graph, torch.tensor([HUB, 3]))
    assert found.score == float(case.h[HUB].sum() - case.h[3].sum())
    assert [part.name for part in found.parts] == [COMMON]
