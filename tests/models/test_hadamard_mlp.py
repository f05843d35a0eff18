from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, hadamard_mlp
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
