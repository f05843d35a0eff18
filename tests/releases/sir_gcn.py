"""The SIR-GCN release: its names of our modules."""

from __future__ import annotations

from tests.releases.translation import Translation
from torch import nn

from runner.models.sir_gcn import SIR, SIRGCN

# SIRConvBase's MLP on [target ‖ source], which is a query and a key before its activation.
_BASE = {
    "_message_func.0.bias": "query.bias",
    "_message_func.2.weight": "relation.weight",
    "_message_func.2.bias": "relation.bias",
}


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that it has not."""
    if isinstance(module, SIRGCN) and len(module.convolutions) == 1:
        return _of("convolutions.0.", module.convolutions[0])
    return _of("", module) if isinstance(module, SIR) else None


def _of(prefix: str, module: nn.Module) -> Translation:
    names, halves = {}, {}
    for name in module.state_dict():
        names[f"linear_{name}"] = prefix + name
    if isinstance(module, SIR) and module.bias_each:
        base = {"left": "query.weight", "right": "key.weight", **_BASE}
        names |= {theirs: prefix + ours for theirs, ours in base.items()}
        halves["_message_func.0.weight"] = ("left", "right")
    return Translation(names, halves=halves)
