from __future__ import annotations

import numpy as np
import pytest
from tests.dense_reference import arrays, gae

from runner.models.gae import GAE


@pytest.mark.parametrize("two_layer_head", [False, True])
@pytest.mark.parametrize("last_linear", [False, True])
def test_against_plain_loops(case, settle, last_linear, two_layer_head):
    module = settle(
        GAE(
            hidden=case.h.size(1),
            dropout=0.0,
            last_linear=last_linear,
            two_layer_head=two_layer_head,
            layer_norm=True,
        )
    )
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = gae(arrays(module), case.h.numpy(), case.pairs.numpy())
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)
