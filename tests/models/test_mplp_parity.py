"""MPLP against the outputs of its release, form by form."""

from __future__ import annotations

import pytest
import torch
from tests.release_weights import load_release
from tests.releases.reference import (
    arguments_of,
    arrays_of,
    assert_close,
    fixed_input,
    read_reference,
    weights_of,
)
from tests.releases.shipped import as_shipped

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
    given = arguments_of(release, form)
    onehot = given["signature"] == "onehot"
    changed = {
        "hidden": 16,
        "symmetric": False,
        "numbers": NUMBERS[given["predictor"]],
        "node_weight": given["node_weight"],
        "features": given["features"],
        "combine": given["combine"],
        "affine": given["affine"],
        "signatures": {
            "_target_": "runner.models.signatures.Signatures",
            "kind": "onehot" if onehot else "bipolar",
            "width": 1024,
            "hubs_from": None,
            "seed": 0,
        },
    }
    module = as_shipped("model", "mplp", changed).eval()
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
                assert_close(module(given, graph, pairs), expected["logit"])
        numbers = module.count(given, View.of(graph), pairs)
        assert_close(numbers, expected["structure"], by_column=True)
        weights = module.weights(given, graph.degree())
        if "node_weight" in expected:
            assert_close(weights, expected["node_weight"])
        else:
            assert weights is None


def test_every_encoder(release):
    graph, x, _, _ = fixed_input()
    for form in forms(release, "encoder."):
        given = arguments_of(release, form)
        changed = {
            "hidden": 16,
            "layers": given["layers"],
            "jumping_knowledge": given["jumping_knowledge"],
            "residual": False,
            "activation": False,
            "embedding": 16 if given["embedding"] else None,
        }
        features = {"num_features": x.size(1), "num_categories": None}
        if not given["features"]:
            features = {"num_features": 1, "num_categories": graph.num_nodes}
        sizes = {**features, "num_nodes": graph.num_nodes}
        encoder = as_shipped("encoder", given["convolution"], changed, **sizes).eval()
        load_release(encoder, weights_of(release, form))
        inputs = x if given["features"] else torch.arange(graph.num_nodes)
        assert_close(encoder(inputs, graph), arrays_of(release, form)["out"])
