from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, f_cn, f_pair, head, ncnc, overlap, probability
from tests.models.builders import CONSTANTS, build_completion, predictor
from tests.models.test_ocn import by_graph

from runner.models.completed import Completed
from runner.models.hadamard_mlp import HadamardMLP
from runner.models.ncn import NCN


def test_around_an_ncn_it_is_ncnc(case, settle):
    other = settle(predictor("ncnc", last_linear=True))
    ncn = predictor("ncn", last_linear=True)
    module = Completed(relative=ncn, completion=build_completion()).double().eval()
    module.load_state_dict(other.state_dict())
    found = module(case.h, case.graph, case.pairs)
    assert torch.equal(found, other(case.h, case.graph, case.pairs))
    dense = ncnc(
        {k.removeprefix("ncn."): v for k, v in arrays(other).items()},
        case.h.numpy(), case.dense, case.pairs.numpy(), CONSTANTS,
    )  # fmt: skip
    np.testing.assert_allclose(found.detach().numpy(), dense, rtol=0, atol=1e-10)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_ocn_completed_against_plain_loops(case, settle, form, orthogonal):
    """M1 has probabilities of one-sided neighbours beside C1, all by degree; M2 is OCN's."""
    ocn = predictor("ocn", orthogonal=orthogonal)
    module = settle(Completed(relative=ocn, completion=build_completion()))
    state = {name.removeprefix("ncn."): value for name, value in arrays(module).items()}
    a, h, pairs = case.dense, case.h.numpy(), case.pairs.numpy()[:, ::3]
    degree = np.maximum(a.sum(1), 1)
    first, second = np.cumprod(1 / (1 + np.exp(-state["theta"])))

    def score(u, v, pooled, more=0):
        own = state["beta"] * f_pair(state, h[u] * h[v])
        return head(state, first * f_cn(state, pooled) + own + more)

    def inner(u, v):
        pooled = sum((h[w] / degree[w] for w in overlap(a, u, v)[0]), np.zeros(h.shape[1]))
        return probability(score(u, v, pooled), **CONSTANTS)

    _, m2 = by_graph(a, pairs, orthogonal=orthogonal, walks=False)
    expected = []
    for (u, v), row in zip(pairs.T, m2, strict=True):
        common, of_u, of_v = overlap(a, u, v)
        weights = dict.fromkeys(common, 1.0)
        weights |= {w: inner(v, w) for w in of_u} | {w: inner(u, w) for w in of_v}
        pooled = sum((p * h[w] / degree[w] for w, p in weights.items()), np.zeros(h.shape[1]))
        expected.append(score(u, v, pooled, second * f_cn(state, row @ h, "f_second")))
    found = module(case.h, case.graph, torch.from_numpy(pairs)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_an_explanation_has_the_sides_and_the_second_sum(case, settle):
    module = settle(predictor("ncnc_ocn"))
    pair = case.pairs[:, :1]
    why = module.explain(case.h, case.graph, pair)
    assert why.score == pytest.approx(float(module(case.h, case.graph, pair).detach()))
    names = [part.name for part in why.parts]
    assert len(names) == 5 and names[0] == names[-1] == "common neighbours"
    assert ["completion probability" in part.columns for part in why.parts] == [
        False, True, True, False, False
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("relative", "message"),
    [
        (lambda: HadamardMLP(), "relative: a HadamardMLP sums over no neighbours"),
        (lambda: predictor("ocn", normaliser="batch"), "give relative.normaliser=graph"),
    ],
)
def test_what_cannot_be_completed_is_refused(relative, message):
    with pytest.raises(ValueError, match=message):
        Completed(relative=relative())
    assert isinstance(Completed().ncn, NCN)
