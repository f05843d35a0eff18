"""Fill our modules with weights saved by the published release.

The release's modules name their parameters after the Sequential they sit in; :func:`load_release`
holds the one mapping of those names to ours.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from runner.models.completion import Completion, LearnedPrior
from runner.models.gae import GAE
from runner.models.gae_cn import GAECN
from runner.models.message_passing import MessagePassing
from runner.models.ncn import NCN
from runner.models.ncn2 import NCN2
from runner.models.ncn_diff import NCNDiff
from runner.models.ncnc import NCNC

# The release's name of each constant of the completion stage, and ours.
_COMPLETION = {"alpha": "alpha", "pt": "t", "scale": "s", "offset": "o"}


def load_release(module: nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """Fill ``module`` in place with the release's weights.

    Args:
        module: an MessagePassing, GAE, GAECN, NCN, NCNDiff, NCN2 or NCNC (of any depth, with t as a
            number or learned), built in the same form as the release's.
        tensors: release parameter name to array: the entries after ``<name>/weight/``.

    Raises:
        KeyError: on a name that the module has no place for, unless the release stores it unused,
            and where a parameter of the module is missing.
        ValueError: on a wrong shape.
        TypeError: on another kind of module.
    """
    names, unused = _names(module)
    completion = module.completion if isinstance(module, NCNC) else None
    numbers = _completion_numbers(completion) if completion is not None else {}
    parameters = dict(module.named_parameters())
    filled: dict[str, Tensor] = {}
    constants: dict[str, float] = {}
    for release_name, array in tensors.items():
        if any(release_name == entry or release_name.startswith(entry + ".") for entry in unused):
            continue
        value = torch.as_tensor(array)
        if release_name in numbers:
            if value.numel() != 1:
                raise ValueError(f"{release_name} must hold one number, got {tuple(value.shape)}")
            constants[numbers[release_name]] = value.item()
            continue
        if release_name not in names:
            raise KeyError(f"{type(module).__name__} has no place for {release_name}")
        name = names[release_name]
        if value.shape != parameters[name].shape:
            raise ValueError(
                f"{release_name} has shape {tuple(value.shape)}, "
                f"{name} needs {tuple(parameters[name].shape)}"
            )
        filled[name] = value
    missing = sorted(parameters.keys() - filled.keys())
    missing += sorted(set(numbers.values()) - constants.keys())
    if missing:
        raise KeyError(f"the release's weights lack {', '.join(missing)}")
    # Nothing is written before everything is known to fit.
    with torch.no_grad():
        for name, value in filled.items():
            parameters[name].copy_(value)
    for constant, number in constants.items():
        setattr(completion, constant, number)


def _completion_numbers(completion: Completion) -> dict[str, str]:
    learned = isinstance(completion.t, LearnedPrior)
    return {theirs: ours for theirs, ours in _COMPLETION.items() if not (learned and ours == "t")}


def _names(module: nn.Module) -> tuple[dict[str, str], tuple[str, ...]]:
    """Release parameter name to ours, and the release's unused entries."""
    if isinstance(module, MessagePassing):
        return _encoder_names(module), ("adjdrop.ratio",)
    if isinstance(module, GAE):
        return _predictor_names(module, ""), ("xlin", "xcnlin", "beta", "dropadj.ratio")
    if isinstance(module, GAECN):
        return _predictor_names(module, ""), ("xlin", "dropadj.ratio")
    if isinstance(module, NCN):
        return _predictor_names(module, ""), ("dropadj.ratio",)
    if isinstance(module, NCNC):
        names = _predictor_names(module.ncn, "ncn.")
        prior = module.completion.t
        if isinstance(prior, LearnedPrior):
            names |= _sequential_names(prior.mlp, "ptlin.", "completion.t.mlp.")
            return names, ("pt", "dropadj.ratio")
        return names, ("ptlin", "dropadj.ratio")
    raise TypeError(f"the release has no {type(module).__name__}")


def _predictor_names(module: GAE | GAECN | NCN, prefix: str) -> dict[str, str]:
    names = {}
    mlps = {"g": "xlin", "f_cn": "xcnlin", "f_pair": "xijlin"}
    if isinstance(module, NCNDiff | NCN2):
        mlps["f_second"] = "xcnreslin" if isinstance(module, NCNDiff) else "xcn12lin"
    for ours, release in mlps.items():
        mlp = getattr(module, ours, None)
        if mlp is not None:
            names |= _sequential_names(mlp, f"{release}.", f"{prefix}{ours}.")
    # The release fills a one-layer head up with identities, so that its last Linear is always 8.
    last = len(module.head) - 1
    for release, ours in _sequential_names(module.head, "", "").items():
        index, _, rest = release.partition(".")
        names[f"lin.{8 if int(index) == last else index}.{rest}"] = f"{prefix}head.{ours}"
    if not isinstance(module, GAE):
        names["beta"] = f"{prefix}beta"
    return names


def _sequential_names(mlp: nn.Module, release: str, ours: str) -> dict[str, str]:
    return {release + name: ours + name for name, _ in mlp.named_parameters()}


def _encoder_names(encoder: MessagePassing) -> dict[str, str]:
    names = {}
    for name, _ in encoder.named_parameters():
        release = name
        for ours, theirs in (
            ("input.", "xemb."),
            ("convolutions.", "convs."),
            ("activations.", "lins."),
            (".linear.", ".lin."),
            ("layer_weights", "jkparams"),
        ):
            release = release.replace(ours, theirs)
        names[release] = name
    return names
