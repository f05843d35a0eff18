from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, gae_cn
from tests.models.builders import predictor

from runner.ops.aggregate import pair_product
from runner.ops.overlap import common_neighbours

build = partial(predictor, "gae_cn")


@pytest.mark.parametrize("two_layer_head", [False, True])
@pytest.mark.parametrize("last_linear", [False, True])
def test_against_plain_loops(case, settle, last_linear, two_layer_head):
    module = settle(build(last_linear=last_linear, two_layer_head=two_layer_head))
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = gae_cn(arrays(module), case.h.numpy(), case.dense, case.pairs.numpy())
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)


def test_beta_starts_where_it_is_told_and_is_learned():
    module = build(beta=0.25)
    assert module.beta.tolist() == [0.25]
    assert module.beta.requires_grad


def test_edge_dropout_hides_neighbours_in_training_only(case, settle):
    module = settle(build(edge_dropout=0.5))
    plain = settle(build())
    expected = plain(case.h, case.graph, case.pairs)
    assert torch.equal(module(case.h, case.graph, case.pairs), expected)
    assert not torch.equal(module.train()(case.h, case.graph, case.pairs), expected)


def test_dropout_draws_for_the_pair_product_first(case, settle):
    """Training ends in the bits of runs from before only in this order."""
    module = settle(build(dropout=0.4)).train()
    torch.manual_seed(0)
    found = module(case.h, case.graph, case.pairs)
    count = common_neighbours(case.graph, case.pairs).counts().unsqueeze(1).to(case.h.dtype)
    torch.manual_seed(0)
    f_pair = module.f_pair(pair_product(case.h, case.pairs))
    joint = module.beta * module.f_cn(count) + f_pair
    assert torch.equal(found, module.head(joint).squeeze(-1))
