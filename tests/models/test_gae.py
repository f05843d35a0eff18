from __future__ import annotations

import numpy as np
import pytest
from tests.dense_reference import arrays, gae
from tests.models.builders import predictor


@pytest.mark.parametrize("two_layer_head", [False, True])
@pytest.mark.parametrize("last_linear", [False, True])
def test_against_plain_loops(case, settle, last_linear, two_layer_head):
    module = settle(predictor("gae", last_linear=last_linear, two_layer_head=two_layer_head))
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = gae(arrays(module), case.h.numpy(), case.pairs.numpy())
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)
