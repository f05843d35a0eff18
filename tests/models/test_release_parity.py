"""The outputs of the published release, reproduced from its own weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.builders import TWO_LAYER, build_encoder, predictor
from tests.release_weights import load_release
from tests.releases.reference import fixed_input, read_reference, weights_of

from runner.models.convolution import GCN, PureGCN

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def release():
    return read_reference("ncn")


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
    load_release(module, weights_of(release, name))
    graph, _, h, pairs = fixed_input()
    with torch.no_grad():
        logit = module(h, graph, pairs)
    np.testing.assert_allclose(logit.numpy(), release[f"{name}/logit"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["puregcn1_jk", "gcn1_res", "puregcn3_res"])
def test_encoder(release, name):
    module = encoder(name).eval()
    load_release(module, weights_of(release, f"encoder.{name}"))
    graph, x, _, _ = fixed_input()
    with torch.no_grad():
        h = module(x, graph)
    np.testing.assert_allclose(h.numpy(), release[f"encoder.{name}/out"], rtol=0, atol=TOLERANCE)


def test_encoder_without_removed_links(release):
    module = encoder("puregcn1_jk").eval()
    load_release(module, weights_of(release, "tlr.encoder"))
    graph, x, _, _ = fixed_input()
    removed = torch.from_numpy(release["tlr.removed"]).long()
    mask = torch.ones(graph.num_entries, dtype=torch.bool)
    for pairs in (removed, removed.flip(0)):
        position = graph.find(pairs)
        assert bool((position >= 0).all())
        mask[position] = False
    graph = graph.keep(mask)
    with torch.no_grad():
        h = module(x, graph)
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
        tensors = weights_of(release, f"{model}.tailact")
        needed = {key: v for key, v in tensors.items() if not key.startswith(names)}
        assert len(needed) < len(tensors)
        load_release(built(f"{model}.tailact"), needed)
        for key in needed:
            rest = {name: v for name, v in needed.items() if name != key}
            with pytest.raises(KeyError, match="lack"):
                load_release(built(f"{model}.tailact"), rest)
