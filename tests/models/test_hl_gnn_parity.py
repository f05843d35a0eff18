"""The outputs of the HL-GNN release, reproduced from its own weights by the shipped models."""

from __future__ import annotations

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

SYSTEM = "hl_gnn"
MODELS = {
    "mlp": "hl_gnn", "dot": "inner_product", "bilinear": "bilinear", "mlpcat": "concat_mlp",
}  # fmt: skip


def encoder(arguments, width):
    start = arguments["start"].lower()
    changed = {
        "hidden": width,
        "layers": arguments["steps"],
        "start": start,
        "alpha": None if start == "random" else arguments["alpha"],
    }
    return as_shipped("encoder", "hl_gnn", changed, num_features=24)


def decoder(arguments, weights, width):
    name, changed = MODELS[arguments["decoder"]], {"hidden": width}
    if name == "inner_product":
        return as_shipped("model", name, {})
    if name in ("hl_gnn", "concat_mlp"):
        inner = len(weights["lins.0.bias"])
        changed |= {"layers": arguments["layers"]}
        changed |= {"width": inner} if arguments["layers"] > 1 and inner != width else {}
    return as_shipped("model", name, changed)


@pytest.mark.parametrize("form", forms_of(SYSTEM))
def test_form(form):
    release = read_reference(SYSTEM)
    graph, x, h, pairs = fixed_input()
    arguments = arguments_of(release, form)
    out = release[f"{form}/out"]
    if "encoder" in arguments:
        module = encoder(arguments, out.shape[1]).eval()
        if arguments["gammas"] == "start":
            assert_close(module.mixture, release[f"{form}/start"])
        load_release(module, weights_of(release, form))
        with torch.no_grad():
            assert_close(module(x, graph), out)
        return
    source = arguments["input"]
    h = h if source == "h" else torch.from_numpy(release[source])
    weights = weights_of(release, form) if arguments["decoder"] != "dot" else {}
    module = decoder(arguments, weights, h.size(1)).eval()
    if weights:
        load_release(module, weights)
    with torch.no_grad():
        logit = module(h, graph, pairs)
    assert_close(logit.sigmoid() if arguments["sigmoid"] else logit, out)
