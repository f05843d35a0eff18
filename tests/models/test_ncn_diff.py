from __future__ import annotations

import numpy as np
from tests.dense_reference import arrays, ncn, ncn_diff
from tests.grids import every_pair
from tests.models.builders import predictor


@every_pair(last_linear=[False, True], two_layer_head=[False, True], node_transform=[False, True])
def test_against_plain_loops(case, settle, last_linear, two_layer_head, node_transform):
    module = settle(
        predictor(
            "ncn_diff",
            last_linear=last_linear,
            two_layer_head=two_layer_head,
            node_transform=node_transform,
        )
    )
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    inputs = (arrays(module), case.h.numpy(), case.dense, case.pairs.numpy())
    expected = ncn_diff(*inputs)
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)
    assert np.abs(expected - ncn(*inputs)).max() > 1e-2
