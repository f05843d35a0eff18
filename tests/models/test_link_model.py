from __future__ import annotations

import contextlib

import pytest
import torch
from tests.dense_reference import NUM_NODES, random_edges, some_pairs
from tests.models.builders import build_encoder
from tests.models.builders import predictor as build_predictor
from tests.models.test_predictors import build
from torch import nn

from runner.models.link_model import LinkModel
from runner.ops import backend
from runner.ops.csr import Graph


def test_scores_pairs_with_encoder_and_predictor():
    graph = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 5)
    encoder = build_encoder(num_features=3, hidden=4, layers=2, residual=True)
    predictor = build_predictor("gae_cn", hidden=4, last_linear=True)
    model = LinkModel(encoder=encoder, predictor=predictor)
    features, pairs = torch.randn(5, 3), torch.tensor([[0, 4], [2, 4]])
    h = model.encode(features, graph)
    assert h.shape == (5, 4)
    assert torch.equal(h, encoder(features, graph))
    logit = model(features, graph, pairs)
    assert torch.equal(logit, predictor(h, graph, pairs))
    logit.sum().backward()
    assert encoder.convolutions[0].linear.weight.grad.any()
    owned = {name.split(".")[0] for name, _ in model.named_parameters()}
    assert owned == {"encoder", "predictor"}


@pytest.mark.parametrize("name", ["gae", "ncn", "ncnc", "ncnc2"])
@pytest.mark.parametrize("form", ["compiled", "plain"])
def test_bfloat16_rounds_linears_and_nothing_else(name, form):
    edges = random_edges(0)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    pairs = torch.from_numpy(some_pairs(edges))
    torch.manual_seed(0)
    encoder = nn.Linear(5, 6)
    encode = nn.Module()
    encode.linear = encoder
    encode.forward = lambda features, graph: encoder(features)
    predictor = build(name, chunk_size=1000)
    features = torch.randn(NUM_NODES, 5)
    logits = []
    for precision in (None, torch.bfloat16):
        model = LinkModel(encode, predictor, precision=precision)
        with backend.plain() if form == "plain" else contextlib.nullcontext():
            h = model.encode(features, graph)
            logit = model.score(h, graph, pairs)
        assert h.dtype == logit.dtype == torch.float32
        model.zero_grad()
        logit.sum().backward()
        assert all(p.grad.dtype == torch.float32 for p in model.parameters() if p.grad is not None)
        torch.testing.assert_close(model.scorer(h, graph)(pairs), logit, rtol=1e-3, atol=1e-3)
        logits.append(logit.detach())
    assert not torch.equal(*logits)
    assert not torch.equal(logits[1], logits[1].bfloat16().float())  # which would tie
    torch.testing.assert_close(logits[1], logits[0], rtol=0.1, atol=0.01)
