from __future__ import annotations

import torch

from models.convolution import GCN
from models.encoder import Encoder
from models.gae_cn import GAECN
from models.link_model import LinkModel
from ops.csr import Graph


def test_scores_pairs_with_encoder_and_predictor():
    graph = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 5)
    encoder = Encoder(
        num_features=3,
        num_categories=None,
        hidden=4,
        layers=2,
        convolution=GCN,
        residual=True,
        jumping_knowledge=False,
        layer_norm=True,
        input_dropout=0.0,
        hidden_dropout=0.0,
        output_dropout=0.0,
        edge_dropout=0.0,
    )
    predictor = GAECN(
        hidden=4,
        dropout=0.0,
        edge_dropout=0.0,
        last_linear=True,
        two_layer_head=False,
        layer_norm=True,
    )
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
