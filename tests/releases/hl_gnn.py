"""The HL-GNN release: its names of our modules. Its MLP of a product is that of Refined-GAE."""

from __future__ import annotations

from tests.releases.refined_gae import numbered
from tests.releases.translation import Translation
from torch import nn

from runner.models.bilinear import Bilinear
from runner.models.concat_mlp import ConcatMLP
from runner.models.hl_gnn import HLGNN


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that it has not."""
    if isinstance(module, HLGNN):
        names = {f"lin1.{part}": f"linear.{part}" for part in ("weight", "bias")}
        return Translation({"temp": "mixture", **names})
    if isinstance(module, Bilinear):
        return Translation({"bilin.weight": "linear.weight"})
    if isinstance(module, ConcatMLP):
        return Translation(numbered(module.mlp, "lins", nn.Linear))
    return None
