"""The pretraining of LAGNN: neighbours' features from those of a node (arXiv 2109.03856)."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.keys import RunSeed, Weight
from runner.models.link_model import LinkModel
from runner.models.neighbour_cvae import NeighbourCVAE, dense
from runner.ops.hash import mix, uniform
from runner.ops.sparse_rows import SparseRows
from runner.ops.stage import stage
from runner.training.objective import Objective, Step


class NeighbourELBO(Objective):
    """Mean negative ELBO of x_v given x_u over both directions (u, v) of the training links.

    The last epoch counts. The release chooses one by an uncertainty that it takes from labels.

    Args:
        share: of the training links that are learned from; the same in each epoch.
        seed: of the choice of them.
    """

    scores_pairs = False
    takes_negatives = False

    def __init__(self, *, share: Weight = 1.0, seed: RunSeed = 0) -> None:
        self.share = share
        self.seed = seed

    def check(self, model: LinkModel, data: LinkData) -> None:
        encoder = model.encoder
        if not isinstance(encoder, NeighbourCVAE):
            raise RunnerError(
                "encoder: this objective learns to generate features of neighbours; give "
                "encoder=neighbour_cvae"
            )
        if data.num_categories is not None or data.features.shape[1] != encoder.num_features:
            raise RunnerError(
                "train.init_mode=embeddings: this objective learns the features of the graph "
                "itself; leave train.init_from out"
            )
        lowest, highest = data.features.min().item(), data.features.max().item()
        if encoder.reconstruction == "bce" and not 0 <= lowest <= highest <= 1:
            raise RunnerError(
                f"encoder.reconstruction=bce: it takes features in [0, 1], and these are from "
                f"{lowest:.4g} to {highest:.4g}; give encoder.reconstruction=mse"
            )

    def loss(self, step: Step) -> Tensor:
        assert isinstance(step.model.encoder, NeighbourCVAE), "checked before"
        features = step.seen.features
        known = step.seen.positives[:, self._known(step.seen.positives)]
        links = step.ranks.share(known)
        pairs = torch.cat([links, links.flip(0)], dim=1)
        with stage("encoder"), step.ranks.own_chance(step.model):
            centre, neighbour = (_rows(features, nodes) for nodes in pairs)
            lost = step.model.encoder.negative_elbo(neighbour, centre)
        step.computed["encoder"] = lost
        return lost.sum() / (2 * known.size(1) or 1)

    def _known(self, links: Tensor) -> Tensor:
        """(B,) bool: which links are learned from, the same whichever end stands first."""
        ends = links.sort(dim=0).values
        return uniform(mix(self.seed, *ends)) < self.share


def _rows(features: Tensor | SparseRows, nodes: Tensor) -> Tensor:
    rows = features.take(nodes) if isinstance(features, SparseRows) else features[nodes]
    return dense(rows)
