"""The SIR-GCN release: its names of our modules."""

from __future__ import annotations

from tests.releases.translation import Translation
from torch import nn

from runner.models.message_passing import MessagePassing
from runner.models.sir_gcn import SIR

# SIRConvBase's MLP on [target ‖ source], which is a query and a key before its activation.
_BASE = {
    "left": "query.weight",
    "right": "key.weight",
    "_message_func.0.bias": "query.bias",
    "_message_func.2.weight": "relation.weight",
    "_message_func.2.bias": "relation.bias",
}
_HALVES = {"_message_func.0.weight": ("left", "right")}


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that it has not."""
    prefix = ""
    if isinstance(module, MessagePassing) and len(module.convolutions) == 1:
        prefix, module = "convolutions.0.", module.convolutions[0]
    return _of(prefix, module) if isinstance(module, SIR) else None


def _of(prefix: str, module: SIR) -> Translation:
    names = {f"linear_{name}": name for name in module.state_dict()} | _BASE
    return Translation({theirs: prefix + ours for theirs, ours in names.items()}, halves=_HALVES)
