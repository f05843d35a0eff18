"""The release of topological concentration: its names of an encoder with its predictor."""

from __future__ import annotations

from tests.releases.translation import Translation
from torch import nn

from runner.models.convolution import SAGE
from runner.models.hadamard_mlp import HadamardMLP
from runner.models.link_model import LinkModel


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that it has not."""
    if not isinstance(module, LinkModel) or not isinstance(module.predictor, HadamardMLP):
        return None
    names = {}
    for i, convolution in enumerate(module.encoder.convolutions):
        sage = isinstance(convolution, SAGE)
        own = [name for name, _ in convolution.named_parameters()]
        for name in own:
            release = name.removeprefix("layer.") if sage else name.replace("linear.", "lin.")
            names[f"encoder.convs.{i}.{release}"] = f"encoder.convolutions.{i}.{name}"
    linears = [i for i, layer in enumerate(module.predictor.mlp) if isinstance(layer, nn.Linear)]
    for number, place in enumerate(linears):
        for part in ("weight", "bias"):
            names[f"predictor.lins.{number}.{part}"] = f"predictor.mlp.{place}.{part}"
    return Translation(names)
