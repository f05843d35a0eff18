"""The OCN release: its names of our modules."""

from __future__ import annotations

from dataclasses import replace

from tests.releases import ncn
from tests.releases.translation import Translation, sequential_names
from torch import nn

from runner.models.convolution import NoLoopGCN
from runner.models.message_passing import MessagePassing
from runner.models.ocn import OCN

_UNUSED = ("xcnlin", "xcn4lin", "innerprod", "dropadj.ratio", "adjdrop.ratio")


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that NCN's has too."""
    if isinstance(module, MessagePassing):
        return _without_loops(module)
    if not isinstance(module, OCN):
        return None
    names = {"beta": "beta", "alpha": "theta"}
    for ours, release in {"f_cn": "xcn1lin", "f_second": "xcn2lin", "f_pair": "xijlin"}.items():
        names |= sequential_names(getattr(module, ours), f"{release}.", f"{ours}.")
    # The last Linear of the head is always 8.
    last = len(module.head) - 1
    for release, ours in sequential_names(module.head, "lin.", "head.").items():
        names[release.replace(f".{last}.", ".8.")] = ours
    return Translation(names, _UNUSED, first={"alpha": 2})


def _without_loops(encoder: MessagePassing) -> Translation | None:
    if not any(isinstance(layer, NoLoopGCN) for layer in encoder.convolutions):
        return None
    translation = ncn.translate(encoder)
    assert translation is not None
    names = {name.replace(".lin.", ".lin.0."): ours for name, ours in translation.names.items()}
    return replace(translation, names=names)
