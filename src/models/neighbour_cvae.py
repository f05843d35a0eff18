"""A conditional VAE of neighbours' features (LAGNN, Liu et al. 2022, arXiv 2109.03856)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.errors import RunnerError
from runner.keys import InConfig, Width
from runner.models.encoder import Encoder
from runner.ops.bipartite import Bipartite
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows

Reconstruction = Literal["bce", "mse"]


class Decoder(nn.Module):
    """p(x | z, c): the features of a neighbour from a latent vector and the centre's features.

    Args:
        bounded: features are in [0, 1], and what is generated too.
    """

    bounded: Tensor

    def __init__(self, *, num_features: int, hidden: int, latent: int, bounded: bool) -> None:
        super().__init__()
        self.latent = latent
        self.layers = nn.Sequential(
            nn.Linear(latent + num_features, hidden), nn.ReLU(), nn.Linear(hidden, num_features)
        )
        self.register_buffer("bounded", torch.tensor(bounded))  # which a checkpoint has to know

    def forward(self, z: Tensor, centre: Tensor) -> Tensor:
        """Features, (B, F), or their logits where they are bounded, from (B, latent), (B, F)."""
        return self.layers(torch.cat([z, centre], dim=1))

    def generate(self, z: Tensor, centre: Tensor) -> Tensor:
        """Features, (B, F)."""
        found = self(z, centre)
        return found.sigmoid() if self.bounded else found


class NeighbourCVAE(Encoder):
    """Learns p(x_neighbour | x_centre) from pairs of linked nodes.

    q(z | x, c) = N(μ, σ²) with μ, log σ² from [x ‖ c] by a hidden layer, z ~ N(0, 1) a priori, and
    :class:`Decoder`. It embeds a node as the features that it generates from z = 0.

    Args:
        num_features: F; a graph without features is refused.
        hidden: width of the hidden layers.
        latent: width of z.
        reconstruction: "bce" for features in [0, 1], "mse" for any.

    Raises:
        RunnerError: if the nodes have no features of their own.
    """

    layers = 0

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        hidden: InConfig[Width] = 256,
        latent: InConfig[Width] = 10,
        reconstruction: InConfig[Reconstruction] = "bce",
    ) -> None:
        super().__init__()
        num_features = require_features(num_features, num_categories, key="encoder")
        self.num_features = num_features
        self.reconstruction = reconstruction
        self.encoder = nn.Sequential(
            nn.Linear(2 * num_features, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent)
        )
        self.decoder = Decoder(
            num_features=num_features,
            hidden=hidden,
            latent=latent,
            bounded=reconstruction == "bce",
        )

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        centre = dense(features)
        return self.decoder.generate(centre.new_zeros(len(centre), self.decoder.latent), centre)

    def negative_elbo(self, neighbour: Tensor, centre: Tensor) -> Tensor:
        """Reconstruction, summed over the features, plus KL(q ‖ N(0, 1)): (B,) of (B, F) each."""
        mean, log_variance = self.encoder(torch.cat([neighbour, centre], dim=1)).chunk(2, dim=1)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        lost = reconstruction_loss(self.decoder(z, centre), neighbour, self.reconstruction)
        return lost + kl_divergence(mean, log_variance)


def reconstruction_loss(output: Tensor, x: Tensor, kind: Reconstruction) -> Tensor:
    """(B,) of (B, F) each: binary cross-entropy of logits, or squared errors, summed over F."""
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(output, x, reduction="none").sum(dim=1)
    return (output - x).square().sum(dim=1)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) ‖ N(0, 1)), (B,), of (B, latent) each."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2


def require_features(num_features: int | None, num_categories: int | None, *, key: str) -> int:
    """The number of real features.

    Raises:
        RunnerError: if the nodes have none, naming the key.
    """
    if num_features is None or num_categories is not None:
        raise RunnerError(
            f"{key}: neighbours' features are generated, and the nodes of this graph have no real "
            "ones; give dataset.features, or another graph"
        )
    return num_features


def dense(features: Tensor | SparseRows) -> Tensor:
    """(N, F)."""
    return features.to_dense() if isinstance(features, SparseRows) else features
