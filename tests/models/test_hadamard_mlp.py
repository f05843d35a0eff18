from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import erf
from tests.dense_reference import arrays, hadamard_mlp, layer_norm, linear
from tests.grids import every_pair
from tests.models.builders import predictor
from torch import nn

from runner.models.hadamard_mlp import HadamardMLP


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_against_plain_loops(case, settle, layers):
    module = settle(predictor("hadamard_mlp", layers=layers))
    assert sum(isinstance(layer, nn.Linear) for layer in module.modules()) == layers
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = hadamard_mlp(arrays(module), case.h.numpy(), case.pairs.numpy())
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)


def test_dropout_drops_hidden_values_and_no_logit(case, settle):
    """In training every logit is that of a mask on the hidden layer, kept values doubled."""
    module = settle(HadamardMLP(hidden=6, layers=2, dropout=0.5)).train()
    with torch.no_grad():
        for layer in (first := module.mlp[0], last := module.mlp[-1]):
            layer.weight.fill_(0)
            layer.bias.fill_(0)
        first.bias.fill_(1.0)
        last.weight.fill_(1.0)
        found = module(case.h, case.graph, case.pairs)
    assert set(found.tolist()) <= {2.0 * kept for kept in range(7)} and len(set(found.tolist())) > 2


def deep(state, h, pairs, *, residual, activation):
    """Of one pair after the other; the order within a hidden layer is that of the docstring."""
    names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    matrices = [name for name in names if state[f"{name}.weight"].ndim == 2]
    act = {
        "relu": lambda x: np.maximum(x, 0),
        "silu": lambda x: x / (1 + np.exp(-x)),
        "gelu": lambda x: x * (1 + erf(x / 2**0.5)) / 2,
    }[activation]
    logits = []
    for u, v in pairs.T:
        z = given = (
            layer_norm(state, "scale", h[u] * h[v]) if "scale.weight" in state else h[u] * h[v]
        )
        for name in matrices[:-1]:
            z = linear(state, name, z) + residual * given
            after = names[names.index(name) + 1]
            z = act(z if after in matrices else layer_norm(state, after, z))
        logits.append(linear(state, matrices[-1], z)[0])
    return np.array(logits)


@every_pair(
    layers=[2, 4],
    residual=[False, True],
    layer_norm=[False, True],
    scale=[False, True],
    activation=["relu", "silu", "gelu"],
)
def test_the_deep_form_against_plain_loops(
    case, settle, layers, residual, layer_norm, scale, activation
):
    options = {"residual": residual, "layer_norm": layer_norm, "scale": scale}
    module = settle(HadamardMLP(hidden=6, layers=layers, activation=activation, **options))
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = deep(
        arrays(module), case.h.numpy(), case.pairs.numpy(), residual=residual, activation=activation
    )
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)


def test_its_layers_may_be_wider_than_the_embeddings(case, settle):
    module = settle(HadamardMLP(hidden=6, layers=3, width=9))
    shapes = [tuple(p.shape) for p in module.parameters() if p.dim() == 2]
    assert shapes == [(9, 6), (9, 9), (1, 9)]
    expected = hadamard_mlp(arrays(module), case.h.numpy(), case.pairs.numpy())
    found = module(case.h, case.graph, case.pairs).detach()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_a_smooth_activation_is_dropped_after_it(case, settle):
    """silu(2 x) is not 2 silu(x): of one hidden value, each logit is 0 or twice that without."""
    given = {"hidden": 6, "layers": 2, "width": 1, "activation": "silu", "dropout": 0.5}
    module = settle(HadamardMLP(**given))
    with torch.no_grad():
        module.mlp[-1].bias.fill_(0)
        whole = module(case.h, case.graph, case.pairs)
        found = module.train()(case.h, case.graph, case.pairs)
    kept = found != 0
    assert 0.3 < float(kept.double().mean()) < 0.7
    torch.testing.assert_close(found[kept], 2 * whole[kept])


def test_state_of_runs_from_before_fits():
    assert list(HadamardMLP(layers=3).state_dict()) == [
        f"mlp.{place}.{part}" for place in (0, 3, 6) for part in ("weight", "bias")
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"residual": True, "width": 9}, r"model\.residual=true: the product is 6 wide.*width=9"),
        ({"layers": 1, "residual": True}, r"model\.layers=1.*model\.residual"),
        ({"layers": 1, "layer_norm": True}, r"model\.layers=1.*model\.layer_norm"),
        ({"layers": 1, "width": 9}, r"model\.layers=1.*model\.width=9"),
        ({"layers": 1, "activation": "silu"}, r"model\.layers=1.*model\.activation=silu"),
    ],
)
def test_what_does_not_go_together(changed, message):
    with pytest.raises(ValueError, match=message):
        HadamardMLP(hidden=6, **changed)
