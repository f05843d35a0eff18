from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from tests.models.builders import TWO_LAYER, predictor

from runner.models.inner_ncn import InnerNCN
from runner.ops import backend

build = partial(predictor, "ncn")


@pytest.fixture
def small_blocks(monkeypatch):
    """Seven pairs each, so that several stand side by side."""
    monkeypatch.setattr("runner.models.inner_ncn._BLOCK_BYTES", 7 * 6 * 8)


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("form", ["compiled", "plain"])
@pytest.mark.parametrize(
    "changed",
    [{}, TWO_LAYER, {"layer_norm": False}],
    ids=["", "last linear, two-layer head", "no LayerNorm"],
)
def test_scores_as_the_ncn(case, settle, small_blocks, changed, form, dropout):
    """With and without the code path of dropout, whose rate is 0 here."""
    ncn = settle(build(**changed))
    x = ncn.transform(case.h)
    expected = ncn.score(case.h, x, case.graph, case.pairs)
    with nullcontext() if form == "compiled" else backend.plain():
        inner = InnerNCN(ncn, case.h, x, dropout=dropout)
        assert inner.in_blocks == (form == "compiled")
        logit = inner(case.graph, case.pairs)
    assert not logit.requires_grad
    torch.testing.assert_close(logit, expected.detach(), rtol=0, atol=1e-11)


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("form", ["compiled", "plain"])
@pytest.mark.parametrize("changed", [{}, TWO_LAYER], ids=str)
def test_bfloat16_rounds_only(case, settle, small_blocks, changed, form, dropout):
    ncn = settle(build(**changed)).float()
    h = case.h.float()
    x = ncn.transform(h)
    with nullcontext() if form == "compiled" else backend.plain():
        exact = InnerNCN(ncn, h, x, dropout=dropout)(case.graph, case.pairs)
        inner = InnerNCN(ncn, h, x, dropout=dropout, dtype=torch.bfloat16)
        found = inner(case.graph, case.pairs)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    assert (found - exact).abs().max() < 0.03 * exact.abs().max()


def test_changes_no_weight_and_draws_no_number(case, settle):
    ncn = settle(build(last_linear=True)).float()
    before = [weight.clone() for weight in ncn.parameters()]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    InnerNCN(ncn, case.h.float(), case.h.float(), dropout=False, dtype=torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, before, ncn.parameters()))
    assert all(weight.dtype == torch.float32 for weight in ncn.parameters())


def test_reads_weights_and_embeddings_of_the_step(case, settle):
    ncn = settle(build())
    x = ncn.transform(case.h)
    before = InnerNCN(ncn, case.h, x, dropout=False)(case.graph, case.pairs)
    with torch.no_grad():
        for parameter in ncn.parameters():
            parameter.mul_(1.5)
    after = InnerNCN(ncn, case.h, x, dropout=False)(case.graph, case.pairs)
    assert not torch.allclose(before, after)


def test_dropout_has_the_law_of_the_ncns(case, settle, small_blocks):
    """Mean and spread over many draws; the draws of two pairs are independent."""
    torch.manual_seed(0)
    ncn = settle(build(dropout=0.3)).train()
    x = case.h
    pair = case.pairs[:, :1].repeat(1, 7000)
    inner = InnerNCN(ncn, case.h, x, dropout=True)(case.graph, pair)
    outer = ncn.score(case.h, x, case.graph, pair).detach()
    spread = outer.std()
    assert abs(inner.mean() - outer.mean()) < 5 * spread * (2 / 7000) ** 0.5
    assert abs(inner.std() / spread - 1) < 0.05
    centred = (inner - inner.mean()) / inner.std()
    for lag in (1, 7, 14):
        assert abs((centred[lag:] * centred[:-lag]).mean()) < 0.05


def test_threads_change_no_bit(case, settle, small_blocks):
    ncn = settle(build(dropout=0.4)).train()
    results = []
    for threads in (1, 2, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        torch.manual_seed(5)
        inner = InnerNCN(ncn, case.h, ncn.transform(case.h), dropout=True)
        torch.manual_seed(6)
        results.append(inner(case.graph, case.pairs))
        assert torch.get_num_threads() == threads
        torch.set_num_threads(before)
    # g has drawn from the first seed; blocks from the second.
    assert all(torch.equal(results[0], result) for result in results[1:])
