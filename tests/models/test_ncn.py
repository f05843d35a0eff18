from __future__ import annotations

from functools import partial

import numpy as np
import torch
from tests.dense_reference import arrays, ncn
from tests.grids import every_pair
from tests.models.builders import predictor

build = partial(predictor, "ncn")


@every_pair(last_linear=[False, True], two_layer_head=[False, True], node_transform=[False, True])
def test_against_plain_loops(case, settle, last_linear, two_layer_head, node_transform):
    module = settle(
        build(node_transform=node_transform, last_linear=last_linear, two_layer_head=two_layer_head)
    )
    logit = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = ncn(arrays(module), case.h.numpy(), case.dense, case.pairs.numpy())
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-10)


def test_beta_starts_where_it_is_told_and_is_learned():
    module = build(beta=0.25)
    assert module.beta.tolist() == [0.25]
    assert module.beta.requires_grad


def test_node_transform_is_optional():
    assert build(node_transform=False).g is None
    assert {name.split(".")[0] for name in build().state_dict()} == {
        *("g", "f_cn", "f_pair", "head", "beta")
    }


def test_edge_dropout_hides_neighbours_in_training_only(case, settle):
    module = settle(build(edge_dropout=0.5))
    expected = settle(build())(case.h, case.graph, case.pairs)
    assert torch.equal(module(case.h, case.graph, case.pairs), expected)
    torch.manual_seed(4)
    logit = module.train()(case.h, case.graph, case.pairs)
    torch.manual_seed(4)
    thinned = module.thin(case.graph)
    assert thinned.num_entries < case.graph.num_entries
    assert torch.equal(logit, module.eval()(case.h, thinned, case.pairs))
