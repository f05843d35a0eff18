from __future__ import annotations

import numpy as np
import pytest
from tests.dense_reference import arrays, ncn, ncn2

from runner.models.ncn2 import NCN2


@pytest.mark.parametrize("node_transform", [False, True])
@pytest.mark.parametrize("two_layer_head", [False, True])
@pytest.mark.parametrize("last_linear", [False, True])
def test_against_plain_loops(case, settle, last_linear, two_layer_head, node_transform):
    module = settle(
        NCN2(
            hidden=6,
            dropout=0.0,
            edge_dropout=0.0,
            node_transform=node_transform,
            last_linear=last_linear,
            two_layer_head=two_layer_head,
            layer_norm=True,
        )
    )
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    state = arrays(module)
    inputs = (state, case.h.numpy(), case.dense, case.pairs.numpy())
    expected = ncn2(*inputs)
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)
    assert np.abs(expected - ncn(*inputs)).max() > 1e-2
