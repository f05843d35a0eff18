"""The outputs of the SIR-GCN release, reproduced from its own weights by the shipped models."""

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

from runner.models.sir_gcn import SIR
from runner.ops import backend

SYSTEM = "sir_gcn"
ACTIVATIONS = {
    "ReLU": "relu", "LeakyReLU": "leaky_relu", "GELU": "gelu", "SiLU": "silu", "ELU": "elu",
    "Tanh": "tanh", "Identity": "none",
}  # fmt: skip


def options(arguments):
    activation = ACTIVATIONS[arguments["activation"]]
    slope = arguments["negative_slope"] if activation == "leaky_relu" else None
    return {
        "aggregation": arguments["aggregation"],
        "message_width": arguments["hidden"],
        "activation": activation,
        "negative_slope": slope,
        "query_bias": arguments.get("query_bias", True),
        "key_bias": arguments.get("key_bias", False),
        "relation_bias": arguments.get("relation_bias", True),
        "bias_each": arguments["convolution"] == "SIRConvBase",
    }


def bare(arguments, width):
    """The convolution alone, in the shipped encoder."""
    made_by = {"_target_": "runner.models.sir_gcn.sir_convolution", "own_term": False}
    changed = {
        "convolution": made_by | options(arguments),
        "hidden": arguments["out"],
        "layers": 1,
        "residual": False,
        "activate_single": False,
    }
    return as_shipped("encoder", "sir_gcn", changed, num_features=width)


def edge_features_of(release, graph, entries):
    """In the order of the entries (target, source), of features by (source, target)."""
    features = torch.from_numpy(release["edge_features/features"])
    return features[entries.find(torch.stack((graph.col.long(), graph.row)))]


@pytest.mark.parametrize("form", forms_of(SYSTEM))
def test_form(form):
    release = read_reference(SYSTEM)
    whole, x, h, _ = fixed_input()
    arguments = arguments_of(release, form)
    of_kept = (whole.row >= arguments["isolated"]) & (whole.col >= arguments["isolated"])
    graph = whole.keep(of_kept, symmetric=True)
    features = {"x": x, "h": h}[arguments["input"]]
    if arguments["convolution"] == "SIREConv":
        edge_features = edge_features_of(release, graph, whole)
        width = {"edge_width": edge_features.size(1)}
        module = SIR(features.size(1), arguments["out"], **options(arguments), **width)
        given = (features, graph, None, edge_features)
    else:
        module, given = bare(arguments, features.size(1)), (features, graph)
    load_release(module, weights_of(release, form))
    module.eval()
    sums = arguments["aggregation"] == "sum"
    with torch.no_grad():
        assert_close(module(*given), release[f"{form}/out"], by_column=sums)
        with backend.plain():
            assert_close(module(*given), release[f"{form}/out"], by_column=sums)
