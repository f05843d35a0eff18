"""The outputs of the published release, reproduced from its own weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.release_weights import load_release

from runner.models.completion import Completion
from runner.models.convolution import GCN, PureGCN
from runner.models.gae import GAE
from runner.models.gae_cn import GAECN
from runner.models.message_passing import MessagePassing
from runner.models.ncn import NCN
from runner.models.ncn2 import NCN2
from runner.models.ncn_diff import NCNDiff
from runner.models.ncnc import NCNC
from runner.ops.csr import Graph

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def release():
    folder = os.environ.get("RUNNER_REFERENCE")
    if not folder:
        pytest.skip("RUNNER_REFERENCE does not name the folder of ncn_release.npz")
    with np.load(Path(folder) / "ncn_release.npz") as stored:
        return dict(stored)


def weights(release, name):
    prefix = f"{name}/weight/"
    found = {key.removeprefix(prefix): v for key, v in release.items() if key.startswith(prefix)}
    assert found
    return found


def graph_of(edges, release):
    return Graph.from_edges(torch.from_numpy(edges).long(), int(release["num_nodes"]))


def predictor(model, form):
    shape = {"last_linear": form == "twolayer", "two_layer_head": form == "twolayer"}
    if model == "gae":
        return GAE(hidden=16, dropout=0.0, layer_norm=True, **shape)
    common = {"hidden": 16, "dropout": 0.0, "edge_dropout": 0.0, "layer_norm": True, **shape}
    if model == "gae_cn":
        return GAECN(**common)
    variants = {"ncn": NCN, "ncn_diff": NCNDiff, "ncn2": NCN2}
    if model in variants:
        return variants[model](**common, node_transform=True)
    # Constants that would fail, were they not replaced by the stored ones.
    completion = Completion(
        t=9.0, s=9.0, o=9.0, alpha=9.0, chunk_size=100, keep_train=None, keep_eval=None, seed=0
    )
    depth = 2 if model == "ncnc2" else 1
    return NCNC(**common, node_transform=True, completion=completion, depth=depth)


def encoder(name):
    kind, layers = {
        "puregcn1_jk": (PureGCN, 1),
        "gcn1_res": (GCN, 1),
        "puregcn3_res": (PureGCN, 3),
    }[name]
    return MessagePassing(
        num_features=24,
        num_categories=None,
        hidden=16,
        layers=layers,
        convolution=kind,
        residual=name.endswith("_res"),
        jumping_knowledge=name.endswith("_jk"),
        layer_norm=True,
        input_dropout=0.0,
        hidden_dropout=0.0,
        output_dropout=0.0,
        edge_dropout=0.0,
    )


@pytest.mark.parametrize(
    "name",
    [
        "gae.tailact",
        "gae.twolayer",
        "gae_cn.tailact",
        "ncn.tailact",
        "ncn.twolayer",
        "ncnc.tailact",
        "ncnc.twolayer",
        "ncn_diff.tailact",
        "ncn2.tailact",
        "ncnc2.tailact",
    ],
)
def test_predictor(release, name):
    module = predictor(*name.split(".")).eval()
    load_release(module, weights(release, name))
    pairs = torch.from_numpy(release["pairs"]).long()
    with torch.no_grad():
        logit = module(
            torch.from_numpy(release["h"]), graph_of(release["edge_index"], release), pairs
        )
    np.testing.assert_allclose(logit.numpy(), release[f"{name}/logit"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["puregcn1_jk", "gcn1_res", "puregcn3_res"])
def test_encoder(release, name):
    module = encoder(name).eval()
    load_release(module, weights(release, f"encoder.{name}"))
    with torch.no_grad():
        h = module(torch.from_numpy(release["x"]), graph_of(release["edge_index"], release))
    np.testing.assert_allclose(h.numpy(), release[f"encoder.{name}/out"], rtol=0, atol=TOLERANCE)


def test_encoder_without_removed_links(release):
    module = encoder("puregcn1_jk").eval()
    load_release(module, weights(release, "tlr.encoder"))
    graph = graph_of(release["edge_index"], release)
    removed = torch.from_numpy(release["tlr.removed"]).long()
    mask = torch.ones(graph.num_entries, dtype=torch.bool)
    for pairs in (removed, removed.flip(0)):
        position = graph.find(pairs)
        assert bool((position >= 0).all())
        mask[position] = False
    graph = graph.keep(mask)
    with torch.no_grad():
        h = module(torch.from_numpy(release["x"]), graph)
    np.testing.assert_allclose(h.numpy(), release["tlr.encoder/out"], rtol=0, atol=TOLERANCE)


def test_unused_entries_are_the_known_ones(release):
    """What load_release passes over is what DESIGN.md lists: leaving it out changes nothing."""
    unused = {
        "gae": ("xlin.", "xcnlin.", "beta", "dropadj.ratio"),
        "gae_cn": ("xlin.", "dropadj.ratio"),
        "ncn": ("dropadj.ratio",),
        "ncnc": ("ptlin.", "dropadj.ratio"),
        "ncn_diff": ("dropadj.ratio",),
        "ncn2": ("dropadj.ratio",),
        "ncnc2": ("ptlin.", "dropadj.ratio"),
    }
    for model, names in unused.items():
        tensors = weights(release, f"{model}.tailact")
        needed = {key: v for key, v in tensors.items() if not key.startswith(names)}
        assert len(needed) < len(tensors)
        load_release(predictor(model, "tailact"), needed)
        for key in needed:
            rest = {name: v for name, v in needed.items() if name != key}
            with pytest.raises(KeyError, match="lack"):
                load_release(predictor(model, "tailact"), rest)
