"""The outputs of the Refined-GAE release, reproduced from its own weights by the shipped models."""

from __future__ import annotations

import os

import pytest
import torch
from tests.release_weights import load_release
from tests.releases.reference import (
    arguments_of,
    assert_close,
    fixed_input,
    forms_of,
    read_reference,
    weights_of,
)
from tests.releases.shipped import as_shipped

SYSTEM = "refined_gae"
FORMS = {"GCN": "embedding", "GCN_with_feature": "features", "GCN_v1": "linear"}
MIXTURES = {"ones": "ones", "exp 0.5": "halves"}


def encoder(arguments, width):
    assert not arguments.get("multilayer")
    changed = {
        "hidden": 16,
        "layers": arguments["steps"],
        "layer_norm": arguments["norm"],
        "relu": arguments["relu"],
    }
    if arguments["encoder"] == "LightGCN":
        option, own = "light_gcn", {"mixture": MIXTURES[arguments["start"]]}
    else:
        residual = float(arguments.get("residual", arguments.get("res")))
        option, own = (
            "shared_gcn",
            {"form": FORMS[arguments["encoder"]], "residual_weight": residual},
        )
    return as_shipped("encoder", option, changed | own, num_features=width)


def head(arguments):
    return as_shipped(
        "model",
        "refined_gae",
        {
            "hidden": 16,
            "layers": arguments["layers"],
            "residual": arguments["res"],
            "layer_norm": arguments["norm"],
            "scale": arguments["scale"],
            "activation": arguments["activation"],
        },
    )


@pytest.mark.parametrize("form", forms_of(SYSTEM))
def test_form(form):
    release = read_reference(SYSTEM)
    graph, x, h, pairs = fixed_input()
    arguments = arguments_of(release, form)
    is_head = "head" in arguments
    if is_head:
        module = head(arguments)
    else:
        parts = [{"x": x, "h": h}[name] for name in arguments["input"].split(",")]
        features = torch.cat(parts, dim=1)
        module = encoder(arguments, features.size(1))
    load_release(module, weights_of(release, form))
    module.eval()
    with torch.no_grad():
        found = module(h, graph, pairs) if is_head else module(features, graph)
    assert_close(found, release[f"{form}/{'logit' if is_head else 'out'}"])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.skipif("RUNNER_REFERENCE" not in os.environ, reason="RUNNER_REFERENCE is not set")
def test_learned_rows_beside_features(first):
    """The same forms, their second input in learned rows of the encoder's own."""
    release = read_reference(SYSTEM)
    graph, x, h, _ = fixed_input()
    form = f"encoder.gcn_with_feature3_norm_{'emb' if first else 'feat'}_first"
    changed = {"hidden": 16, "layers": 3, "embedding": 16, "embedding_first": first}
    given = {"num_features": 24, "num_nodes": graph.num_nodes}
    module = as_shipped("encoder", "shared_gcn", changed, **given).eval()
    rows = module.input.embedding.weight
    with pytest.raises(KeyError, match=r"lack input\.embedding\.weight"):
        load_release(module, weights_of(release, form))
    module.input.embedding.weight = None  # the release holds it as an input
    load_release(module, weights_of(release, form))
    module.input.embedding.weight = rows
    with torch.no_grad():
        rows.copy_(h)
        assert_close(module(x, graph), release[f"{form}/out"])
    assert module.layers is None
