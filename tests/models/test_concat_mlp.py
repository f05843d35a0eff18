from __future__ import annotations

import numpy as np
import pytest
from tests.dense_reference import arrays, linear, relu
from tests.models.builders import predictor


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_against_plain_loops(case, settle, layers):
    module = settle(predictor("concat_mlp", layers=layers))
    state, h = arrays(module), case.h.numpy()
    names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    assert len(names) == layers

    def mlp(z):
        for name in names[:-1]:
            z = relu(linear(state, name, z))
        return linear(state, names[-1], z)[0]

    found = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = [
        (mlp(np.concatenate([h[u], h[v]])) + mlp(np.concatenate([h[v], h[u]]))) / 2
        for u, v in case.pairs.numpy().T
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
