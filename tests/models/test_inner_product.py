from __future__ import annotations

import numpy as np
from tests.models.builders import predictor


def test_against_plain_loops(case):
    module, h = predictor("inner_product").double(), case.h.numpy()
    expected = [float(h[u] @ h[v]) for u, v in case.pairs.T.tolist()]
    logit = module(case.h, case.graph, case.pairs).numpy()
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-12)


def test_the_embeddings_are_to_be_trained():
    """Without weights of its own a run of it would be taken for a heuristic's."""
    module = predictor("inner_product")
    assert module.trainable and not list(module.parameters())
