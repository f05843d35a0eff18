"""Every public form of the OCN release, of the class as its YAML builds it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.builders import build_encoder
from tests.release_weights import load_release
from tests.releases.reference import (
    arguments_of,
    arrays_of,
    assert_close,
    fixed_input,
    read_reference,
    weights_of,
)
from tests.test_configs import composed

from runner.experiment.build import build
from runner.models import convolution
from runner.models.ncn import sum_over
from runner.models.predictor import View

TRAINED = ("train1", "train2")
SCORED = {"all": slice(None), "first100": slice(100), "last60": slice(-60, None),
          "single": slice(-1, None)}  # fmt: skip


@pytest.fixture(scope="module")
def release():
    return read_reference("ocn")


def forms(release, *, encoder):
    names = {key.split("/")[0] for key in release}
    return sorted(name for name in names if name.startswith("encoder.") == encoder)


def built(given):
    """The model of this name, as the config describes it."""
    name = {"OCN": "ocn", "OCNP": "ocnp"}[given["predictor"]]
    config = composed(
        f"model={name}", "dataset=synthetic", "model.normaliser=batch",
        f"encoder.hidden={given['width']}", "model.dropout=0.0",
        f"model.layer_norm={given['layer_norm']}", f"model.second_order={given['second_order']}",
        f"model.single_weight={given['single_weight']}",
    )  # fmt: skip
    return build("model", config.model)


def pooled(module, h, graph, pairs):
    first, second = module.weighed(module.read(View.of(graph)), pairs)
    return sum_over(h, first), sum_over(h, second)


def test_predictors(release, form):
    graph, _, h, pairs = fixed_input()
    found = forms(release, encoder=False)
    assert len(found) >= 8
    for name in found:
        module = built(arguments_of(release, name))
        load_release(module, weights_of(release, name))
        arrays = arrays_of(release, name)
        with torch.no_grad():
            compare_training(module.train(), h, graph, pairs, arrays)
            compare_evaluation(module.eval(), h, graph, pairs, arrays)


def compare_training(module, h, graph, pairs, arrays):
    for call in TRAINED:
        if f"{call}/rows" not in arrays:
            continue
        begin, end = arrays[f"{call}/rows"]
        assert_close(module(h, graph, pairs[:, begin:end]), arrays[f"{call}/logit"])
        np.testing.assert_allclose(module.overlap.mean, arrays[f"{call}/xi"][0], rtol=1e-6)
        assert module.overlap.count == arrays[f"{call}/n"]


def compare_evaluation(module, h, graph, pairs, arrays):
    scored = dict(SCORED)
    if "no_common/rows" in arrays:
        scored["no_common"] = torch.from_numpy(arrays["no_common/rows"])
    for call, rows in scored.items():
        given = pairs[:, rows]
        assert_close(module(h, graph, given), arrays[f"{call}/logit"])
        for name, sums in zip(("p1", "p2"), pooled(module, h, graph, given), strict=True):
            assert_close(sums, arrays[f"{call}/{name}"], by_column=True)
    if module.overlap is not None:
        np.testing.assert_allclose(module.overlap.mean, arrays["xi"][0], rtol=1e-6)


def test_encoders(release):
    graph, x, *_ = fixed_input()
    found = forms(release, encoder=True)
    assert len(found) >= 6
    for name in found:
        given = arguments_of(release, name)
        kind = getattr(convolution, given.pop("convolution"))
        module = build_encoder(num_features=24, hidden=16, convolution=kind, **given).eval()
        load_release(module, weights_of(release, name))
        with torch.no_grad():
            assert_close(module(x, graph), arrays_of(release, name)["out"])
