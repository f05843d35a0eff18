from __future__ import annotations

import numpy as np
from tests.dense_reference import arrays
from tests.models.builders import predictor


def test_against_plain_loops(case, settle):
    module = settle(predictor("bilinear"))
    w, h = arrays(module)["linear.weight"], case.h.numpy()
    found = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = [h[v] @ (w @ h[u]) for u, v in case.pairs.numpy().T]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
