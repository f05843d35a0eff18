"""The MPLP release: its names of our modules."""

from __future__ import annotations

from tests.releases.translation import Translation, sequential_names
from torch import nn

from runner.models.mplp import MPLP


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that it has not."""
    if not isinstance(module, MPLP):
        return None
    names = sequential_names(module.head, "classifier.", "head.")
    parts = {"struct_encode": "s", "feat_encode": "f", "node_weight_encode": "weigh"}
    for release, ours in parts.items():
        part = module.get_submodule(ours) if getattr(module, ours) is not None else nn.Identity()
        names |= sequential_names(part, f"{release}.layers.", f"{ours}.")
    counters = tuple(name for name in names if name.endswith("num_batches_tracked"))
    return Translation({k: v for k, v in names.items() if k not in counters}, counters)
