"""load_release refuses what does not fit, before it changes anything."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from tests.models.builders import TWO_LAYER, build_encoder, predictor
from tests.release_weights import load_release

from runner.models.convolution import PureGCN
from runner.models.link_model import LinkModel

build = partial(predictor, hidden=4, **TWO_LAYER)


def embedding_encoder():
    return build_encoder(
        num_categories=9, hidden=4, layers=2, convolution=PureGCN, jumping_knowledge=True
    )


def linear(name, out_features, in_features=4):
    return {f"{name}.weight": (out_features, in_features), f"{name}.bias": (out_features,)}


def norm(name):
    return {f"{name}.weight": (4,), f"{name}.bias": (4,)}


def ncn_tensors():
    """Release names and shapes of an NCN in the twolayer form, numbered values."""
    shapes = {
        "beta": (1,),
        **linear("xlin.0", 4),
        **linear("xlin.3", 4),
        **norm("xlin.4"),
        **linear("xcnlin.0", 4),
        **linear("xcnlin.3", 4),
        **norm("xcnlin.4"),
        **linear("xcnlin.7", 4),
        **linear("xijlin.0", 4),
        **norm("xijlin.1"),
        **linear("xijlin.4", 4),
        **linear("lin.0", 4),
        **norm("lin.1"),
        **linear("lin.4", 4),
        **norm("lin.5"),
        **linear("lin.8", 1),
    }
    return {
        name: np.full(shape, index, dtype=np.float32)
        for index, (name, shape) in enumerate(shapes.items())
    }


def test_every_parameter_is_filled():
    module = build("ncn")
    tensors = ncn_tensors()
    load_release(module, {**tensors, "dropadj.ratio": np.float32(1)})
    filled = {p.flatten()[0].item() for p in module.parameters()}
    assert filled == {float(index) for index in range(len(tensors))}
    assert module.head[8].bias.item() == list(tensors).index("lin.8.bias")
    assert module.g[0].bias[0].item() == list(tensors).index("xlin.0.bias")
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_embedding_and_layer_weights():
    module = embedding_encoder()
    load_release(
        module,
        {
            "xemb.0.weight": np.full((9, 4), 2.0, dtype=np.float32),
            "jkparams": np.array([3.0, 4.0], dtype=np.float32),
            "adjdrop.ratio": np.float32(1),
        },
    )
    assert bool((module.input[0].weight == 2).all())
    assert module.layer_weights.tolist() == [3, 4]


def test_completion_constants():
    module = build("ncnc")
    completion = module.completion
    constants = {"alpha": 1.5, "pt": 0.25, "scale": 2.0, "offset": 0.5}
    stored = {name: np.array([value], dtype=np.float32) for name, value in constants.items()}
    unused = {"ptlin.0.weight": np.zeros((4, 4), dtype=np.float32)}
    load_release(module, {**ncn_tensors(), **stored, **unused})
    assert (completion.alpha, completion.t, completion.s, completion.o) == (1.5, 0.25, 2.0, 0.5)
    with pytest.raises(KeyError, match="lack t"):
        load_release(module, {**ncn_tensors(), **{k: stored[k] for k in stored if k != "pt"}})


@pytest.mark.parametrize(("kind", "name"), [("ncn_diff", "xcnreslin"), ("ncn2", "xcn12lin")])
def test_second_pool(kind, name):
    shapes = {**linear(f"{name}.0", 4), **linear(f"{name}.3", 4), **norm(f"{name}.4")}
    shapes |= linear(f"{name}.7", 4)
    second = {key: np.full(shape, 77, dtype=np.float32) for key, shape in shapes.items()}
    module = build(kind)
    load_release(module, {**ncn_tensors(), **second})
    assert all(bool((p == 77).all()) for p in module.f_second.parameters())
    with pytest.raises(KeyError, match="lack f_second"):
        load_release(module, ncn_tensors())


def test_learned_prior():
    module = build("ncnc_learned_t", depth=2)
    constants = {name: np.ones(1, dtype=np.float32) for name in ("alpha", "pt", "scale", "offset")}
    shapes = {**linear("ptlin.0", 4), **linear("ptlin.2", 1)}
    prior = {key: np.full(shape, 77, dtype=np.float32) for key, shape in shapes.items()}
    load_release(module, {**ncn_tensors(), **constants, **prior})
    assert all(bool((p == 77).all()) for p in module.completion.t.parameters())
    with pytest.raises(KeyError, match=r"lack completion\.t\.mlp"):
        load_release(module, {**ncn_tensors(), **constants})


def test_three_layers_with_weights():
    """As the release's encoder for ogbl-ppa: normalisation after all layers but the last."""
    module = build_encoder(num_categories=9, hidden=4, layers=3, residual=True, edge_dropout=0.1)
    shapes = {"xemb.0.weight": (9, 4), **norm("lins.0.0"), **norm("lins.1.0")}
    for layer in range(3):
        shapes |= {f"convs.{layer}.bias": (4,), f"convs.{layer}.lin.weight": (4, 4)}
    tensors = {
        key: np.full(shape, i, dtype=np.float32) for i, (key, shape) in enumerate(shapes.items())
    }
    load_release(module, tensors)
    assert {p.flatten()[0].item() for p in module.parameters()} == set(range(len(shapes)))


@pytest.mark.parametrize(
    "extra", ["xcnreslin.0.weight", "xlin.9.weight", "alpha", "ptlin.0.weight", "betamax", "g"]
)
def test_unknown_name(extra):
    module = build("ncn")
    with pytest.raises(KeyError, match=f"NCN has no place for {extra}"):
        load_release(module, {**ncn_tensors(), extra: np.zeros(1, dtype=np.float32)})


def test_missing_parameter():
    tensors = ncn_tensors()
    del tensors["xijlin.1.bias"]
    with pytest.raises(KeyError, match=r"lack f_pair\.1\.bias"):
        load_release(build("ncn"), tensors)


def test_another_form():
    with pytest.raises(KeyError, match=r"no place for xcnlin\.7\.weight"):
        load_release(predictor("ncn", hidden=4, two_layer_head=True), ncn_tensors())
    with pytest.raises(KeyError, match=r"no place for lin\.4\.weight"):
        load_release(predictor("ncn", hidden=4, last_linear=True), ncn_tensors())


def test_wrong_shape_changes_nothing():
    module = build("ncn")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    tensors = {**ncn_tensors(), "lin.8.weight": np.zeros((1, 5), dtype=np.float32)}
    with pytest.raises(ValueError, match=r"lin\.8\.weight has shape \(1, 5\)"):
        load_release(module, tensors)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_another_module():
    with pytest.raises(TypeError, match="LinkModel"):
        load_release(LinkModel(embedding_encoder(), build("ncn")), {})
