"""PyTorch Geometric's LCMAggregation: its names of our modules."""

from __future__ import annotations

from tests.releases.translation import Translation
from torch import nn

from runner.models.lcm import LCM

_PARTS = {"map": "lin", "cell": "gru_cell"}


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that it has not."""
    if not isinstance(module, LCM):
        return None
    names = [name for name, _ in module.named_parameters() if name != "identity"]
    parts = [(name, *name.split(".")) for name in names]
    return Translation({f"{_PARTS[part]}.{weight}": name for name, part, weight in parts})
