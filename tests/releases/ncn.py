"""The NCN release: its names of our modules."""

from __future__ import annotations

from tests.releases.translation import Translation, sequential_names
from torch import nn

from runner.models.completion import LearnedPrior
from runner.models.gae import GAE
from runner.models.gae_cn import GAECN
from runner.models.message_passing import MessagePassing
from runner.models.ncn import NCN
from runner.models.ncn2 import NCN2
from runner.models.ncn_diff import NCNDiff
from runner.models.ncnc import NCNC

# The release's name of each constant of the completion stage, and ours.
_COMPLETION = {"alpha": "alpha", "pt": "t", "scale": "s", "offset": "o"}


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that it has not."""
    if isinstance(module, MessagePassing):
        return Translation(_encoder_names(module), ("adjdrop.ratio",))
    if isinstance(module, GAE):
        unused = ("xlin", "xcnlin", "beta", "dropadj.ratio")
        return Translation(_predictor_names(module, ""), unused)
    if isinstance(module, GAECN):
        return Translation(_predictor_names(module, ""), ("xlin", "dropadj.ratio"))
    if type(module) in (NCN, NCNDiff, NCN2):
        return Translation(_predictor_names(module, ""), ("dropadj.ratio",))
    if isinstance(module, NCNC):
        return _completed(module)
    return None


def _completed(module: NCNC) -> Translation:
    names = _predictor_names(module.ncn, "ncn.")
    completion = module.completion
    constants = {name: (completion, ours) for name, ours in _COMPLETION.items()}
    if not isinstance(completion.t, LearnedPrior):
        return Translation(names, ("ptlin", "dropadj.ratio"), constants)
    del constants["pt"]
    names |= sequential_names(completion.t.mlp, "ptlin.", "completion.t.mlp.")
    return Translation(names, ("pt", "dropadj.ratio"), constants)


def _predictor_names(module: GAE | GAECN | NCN, prefix: str) -> dict[str, str]:
    names = {}
    mlps = {"g": "xlin", "f_cn": "xcnlin", "f_pair": "xijlin"}
    if isinstance(module, NCNDiff | NCN2):
        mlps["f_second"] = "xcnreslin" if isinstance(module, NCNDiff) else "xcn12lin"
    for ours, release in mlps.items():
        mlp = getattr(module, ours, None)
        if mlp is not None:
            names |= sequential_names(mlp, f"{release}.", f"{prefix}{ours}.")
    # The release fills a one-layer head up with identities, so that its last Linear is always 8.
    last = len(module.head) - 1
    for release, ours in sequential_names(module.head, "", "").items():
        index, _, rest = release.partition(".")
        names[f"lin.{8 if int(index) == last else index}.{rest}"] = f"{prefix}head.{ours}"
    if not isinstance(module, GAE):
        names["beta"] = f"{prefix}beta"
    return names


def _encoder_names(encoder: MessagePassing) -> dict[str, str]:
    names = {}
    for name, _ in encoder.named_parameters():
        release = name
        for ours, theirs in (
            ("learned.", ""),
            ("input.", "xemb."),
            ("convolutions.", "convs."),
            ("activations.", "lins."),
            (".linear.", ".lin."),
            ("layer_weights", "jkparams"),
        ):
            release = release.replace(ours, theirs)
        names[release] = name
    return names
