from __future__ import annotations

import pytest
import torch
from torch import nn

from runner.models.mlp import MLP, ExactLinear, head, neighbour_mlp, node_mlp, pair_mlp

LINEAR, NORM, DROPOUT, RELU = nn.Linear, nn.LayerNorm, nn.Dropout, nn.ReLU
BLOCK = [LINEAR, NORM, DROPOUT, RELU]


@pytest.mark.parametrize(
    ("mlp", "expected"),
    [
        (
            neighbour_mlp(3, 4, dropout=0.2, layer_norm=True, last_linear=False),
            [LINEAR, DROPOUT, RELU, *BLOCK],
        ),
        (
            neighbour_mlp(3, 4, dropout=0.2, layer_norm=True, last_linear=True),
            [LINEAR, DROPOUT, RELU, *BLOCK, LINEAR],
        ),
        (pair_mlp(4, dropout=0.2, layer_norm=True, last_linear=False), BLOCK),
        (pair_mlp(4, dropout=0.2, layer_norm=True, last_linear=True), [*BLOCK, LINEAR]),
        (node_mlp(4, dropout=0.2, layer_norm=True), [LINEAR, DROPOUT, RELU, *BLOCK]),
        (head(4, dropout=0.2, layer_norm=True, two_layer=False), [*BLOCK, ExactLinear]),
        (head(4, dropout=0.2, layer_norm=True, two_layer=True), [*BLOCK, *BLOCK, ExactLinear]),
    ],
)
def test_layers_are_those_of_the_release(mlp, expected):
    assert [type(layer) for layer in mlp] == expected
    assert {layer.p for layer in mlp if isinstance(layer, DROPOUT)} == {0.2}


def test_widths():
    def widths(mlp):
        return [(m.in_features, m.out_features) for m in mlp if isinstance(m, LINEAR)]

    form = {"dropout": 0.0, "layer_norm": True}
    assert widths(neighbour_mlp(1, 4, **form, last_linear=True)) == [(1, 4), (4, 4), (4, 4)]
    assert widths(head(4, **form, two_layer=True)) == [(4, 4), (4, 4), (4, 1)]


@pytest.mark.parametrize(
    "mlp",
    [
        neighbour_mlp(3, 4, dropout=0.0, layer_norm=False, last_linear=True),
        pair_mlp(4, dropout=0.0, layer_norm=False, last_linear=True),
        head(4, dropout=0.0, layer_norm=False, two_layer=True),
    ],
)
def test_layer_norm_can_be_left_out(mlp):
    assert not any(isinstance(layer, NORM) for layer in mlp)


def test_fused_layers_are_the_layers_one_by_one():
    torch.manual_seed(0)
    mlp = neighbour_mlp(4, 4, dropout=0.4, layer_norm=True, last_linear=True).double().eval()
    x = torch.randn(9, 4, dtype=torch.float64)
    torch.testing.assert_close(mlp(x), nn.Sequential.forward(mlp, x))


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    mlp = pair_mlp(64, dropout=0.5, layer_norm=False, last_linear=False)
    nn.init.zeros_(mlp[0].weight)
    nn.init.ones_(mlp[0].bias)
    x = torch.ones(100, 64)
    assert set(mlp(x).unique().tolist()) == {0.0, 2.0}
    assert set(mlp.eval()(x).unique().tolist()) == {1.0}


def test_what_a_linear_has_made_is_worked_on_in_place():
    mlp = MLP(nn.Linear(4, 4), nn.Dropout(0.1), nn.ReLU())
    made = []
    mlp[0].register_forward_hook(lambda *of: made.append(of[2].data_ptr()))
    assert mlp(torch.randn(3, 4)).data_ptr() == made[0]
    x = torch.randn(3, 4)
    assert MLP(nn.ReLU())(x).data_ptr() != x.data_ptr(), "the caller's own is not"


def test_what_a_relu_returned_is_not_overwritten_since_its_gradient_needs_it():
    x, linear = torch.randn(9, 4), nn.Linear(4, 4)
    MLP(linear, nn.ReLU(), nn.ReLU()).run(x, dropout=False).sum().backward()
    expected = torch.autograd.grad(linear(x).relu().sum(), linear.weight)[0]
    torch.testing.assert_close(linear.weight.grad, expected)
