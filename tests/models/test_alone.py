"""Models without a run: every argument has the default that `conf/` documents."""

from __future__ import annotations

import inspect

import networkx
import pytest
import torch
from tests.test_configs import composed

import runner.models
from runner.models import LinkModel, MessagePassing, NoEncoder, Predictor
from runner.ops import Graph

pytestmark = pytest.mark.soak

NAMES = ("gae", "gae_cn", "ncn", "ncn2", "ncn_diff", "ocn", "ncnc", "katz", "ppr", "shortest_path")
PREDICTORS = [
    part
    for name in runner.models.__all__
    if issubclass(part := getattr(runner.models, name), Predictor)
    and part not in (Predictor, runner.models.NoPredictor, runner.models.Mixture)
]


@pytest.mark.parametrize("predictor", PREDICTORS, ids=lambda part: part.__name__)
def test_a_predictor_takes_no_argument_and_scores(predictor):
    graph = Graph.from_networkx(networkx.les_miserables_graph())
    width = inspect.signature(predictor).parameters.get("hidden")
    hidden = 64 if width is None else width.default
    encoder = MessagePassing(num_categories=graph.num_nodes, hidden=hidden)
    model = LinkModel(encoder, predictor())
    pairs = torch.tensor([[0, 1, 2], [10, 11, 75]])
    logits = model(torch.arange(graph.num_nodes), graph, pairs)
    assert logits.shape == (3,) and logits.isfinite().all()


def test_an_encoder_takes_the_features_alone():
    graph = Graph.from_networkx(networkx.path_graph(5))
    assert MessagePassing(num_features=3)(torch.rand(5, 3), graph).shape == (5, 64)
    assert NoEncoder()(torch.rand(5, 3), graph).shape == (5, 0)
    with pytest.raises(ValueError, match="give num_features of real features, or num_categories"):
        MessagePassing()


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_are_those_of_conf(name):
    config = composed(f"model={name}", "dataset=synthetic", "hyperparameters=default")
    for node in (config.encoder, config.model, config.model.get("completion", config.model)):
        cls = getattr(runner.models, node["_target_"].rpartition(".")[2])
        for key, parameter in inspect.signature(cls).parameters.items():
            if key == "convolution":
                assert parameter.default.__name__ == node[key].path.rpartition(".")[2]
            elif key not in ("completion", "num_features", "num_categories", "num_nodes"):
                assert parameter.default == node[key], key
