"""MPLP against the outputs of its release, form by form."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf
from tests.release_weights import load_release
from tests.releases.reference import (
    arguments_of,
    arrays_of,
    assert_close,
    fixed_input,
    read_reference,
    weights_of,
)

from runner.config import resolvers
from runner.config.shipped import compose_shipped
from runner.experiment.build import build
from runner.models.predictor import View
from runner.ops.backend import plain

NUMBERS = {
    "MPLP": "combine",
    "MPLP+": "prop_only",
    "MPLP+exact": "exact",
    "MPLP+precompute": "precompute",
}


@pytest.fixture(scope="module")
def release():
    return read_reference("mplp")


def forms(release, start):
    """Those of a kind; all have weights."""
    return sorted(
        {key.split("/")[0] for key in release if key.startswith(start) and "/weight/" in key}
    )


def predictor(release, form):
    """As the shipped YAML builds it, with the form's arguments."""
    given = arguments_of(release, form)
    onehot = given["signature"] == "onehot"
    resolvers.register()
    config = compose_shipped(
        [
            "model=mplp",
            "encoder.hidden=16",
            "model.symmetric=false",
            f"model.numbers={NUMBERS[given['predictor']]}",
            f"model.node_weight={given['node_weight']}",
            f"model.features={given['features']}",
            f"model.combine={given['combine']}",
            f"model.affine={given['affine']}",
            f"model.signatures.kind={'onehot' if onehot else 'bipolar'}",
        ]
    )
    module = build("model", OmegaConf.to_container(config.model, resolve=True)).eval()
    if not onehot:
        module.signatures.given = torch.from_numpy(release[f"signature/{given['signature']}"])
    load_release(module, weights_of(release, form))
    return module


def test_every_predictor(release):
    graph, _, h, pairs = fixed_input()
    names = forms(release, "mplp")
    assert {arguments_of(release, name)["predictor"] for name in names} == set(NUMBERS)
    for form in names:
        expected, module = arrays_of(release, form), predictor(release, form)
        given = h if module.reads_embeddings else h[:, :0]
        for scope in (plain, torch.no_grad):
            with scope():
                logits = module(given, graph, pairs)
                assert_close(logits, expected["logit"])
        numbers = module.count(given, View.of(graph), pairs)
        assert_close(numbers, expected["structure"], by_column=True)
        weights = module.weights(given, graph.degree())
        if "node_weight" in expected:
            assert_close(weights, expected["node_weight"])
        else:
            assert weights is None
