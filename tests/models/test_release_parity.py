"""The outputs of the published release, reproduced from its own weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.builders import TWO_LAYER, build_encoder, predictor
from tests.release_weights import load_release

from runner.models.convolution import GCN, PureGCN
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


def built(name):
    """A predictor by `<model>.<form>`, with constants that would fail were they not replaced."""
    model, form = name.split(".")
    wrong = {"t": 9.0, "s": 9.0, "o": 9.0, "alpha": 9.0}
    return predictor(
        model, hidden=16, completion=wrong, **(TWO_LAYER if form == "twolayer" else {})
    ).eval()


def encoder(name):
    kind, layers = {
        "puregcn1_jk": (PureGCN, 1),
        "gcn1_res": (GCN, 1),
        "puregcn3_res": (PureGCN, 3),
    }[name]
    return build_encoder(
        num_features=24,
        hidden=16,
        layers=layers,
        convolution=kind,
        residual=name.endswith("_res"),
        jumping_knowledge=name.endswith("_jk"),
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
    module = built(name)
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
        load_release(built(f"{model}.tailact"), needed)
        for key in needed:
            rest = {name: v for name, v in needed.items() if name != key}
            with pytest.raises(KeyError, match="lack"):
                load_release(built(f"{model}.tailact"), rest)
