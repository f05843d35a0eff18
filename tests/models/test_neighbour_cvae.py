"""The CVAE of LAGNN against its formulas, in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, linear, relu

from runner.errors import RunnerError
from runner.models.neighbour_cvae import NeighbourCVAE, kl_divergence, reconstruction_loss

WIDTH, ROWS = 5, 7
NEIGHBOUR, CENTRE = torch.rand(2, ROWS, WIDTH, dtype=torch.float64, generator=torch.manual_seed(0))


def build(reconstruction="bce"):
    torch.manual_seed(1)
    return NeighbourCVAE(
        num_features=WIDTH, hidden=6, latent=3, reconstruction=reconstruction
    ).double()


@pytest.mark.parametrize(("mean", "kl"), [(0.0, 0.0), (1.0, 0.5)])
def test_the_divergence_of_a_dimension(mean, kl):
    found = kl_divergence(torch.full((2, 4), mean), torch.zeros(2, 4))
    assert found.tolist() == [4 * kl] * 2
    half = kl_divergence(torch.zeros(1, 1), torch.full((1, 1), math.log(0.5)))
    assert half.item() == pytest.approx((0.5 - 1 + math.log(2)) / 2)


def test_the_cross_entropy_of_one_half_is_log_two_for_each_feature():
    found = reconstruction_loss(torch.zeros(ROWS, WIDTH), NEIGHBOUR, "bce")
    np.testing.assert_allclose(found, WIDTH * math.log(2), rtol=1e-6)
    assert reconstruction_loss(CENTRE + 2, CENTRE, "mse").tolist() == pytest.approx(
        [4 * WIDTH] * ROWS
    )


@pytest.mark.parametrize("reconstruction", ["bce", "mse"])
def test_the_loss_is_that_of_the_formula(reconstruction):
    model = build(reconstruction)
    state, x, c = arrays(model), NEIGHBOUR.numpy(), CENTRE.numpy()
    hidden = relu(linear(state, "encoder.0", np.concatenate([x, c], axis=1)))
    mean, log_variance = np.split(linear(state, "encoder.2", hidden), 2, axis=1)
    torch.manual_seed(5)
    noise = torch.randn(ROWS, 3, dtype=torch.float64).numpy()
    z = mean + np.exp(log_variance / 2) * noise
    hidden = relu(linear(state, "decoder.layers.0", np.concatenate([z, c], axis=1)))
    out = linear(state, "decoder.layers.2", hidden)
    if reconstruction == "bce":
        p = 1 / (1 + np.exp(-out))
        lost = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)
    else:
        lost = ((out - x) ** 2).sum(1)
    kl = (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1) / 2
    torch.manual_seed(5)
    found = model.negative_elbo(NEIGHBOUR, CENTRE)
    np.testing.assert_allclose(found.detach().numpy(), lost + kl, rtol=1e-10)


def test_what_is_generated_is_bounded_as_the_features_are():
    far = 50 * torch.ones(4, WIDTH, dtype=torch.float64)
    bounded, free = (build(kind)(far, None).detach() for kind in ("bce", "mse"))
    assert bounded.shape == free.shape == (4, WIDTH)
    assert bounded.min() >= 0 and bounded.max() <= 1 < free.abs().max()


def test_ids_are_no_features():
    with pytest.raises(RunnerError, match=r"the nodes of this graph have no real\s+ones"):
        NeighbourCVAE(num_categories=9)
