"""Fill a module with weights that are named otherwise in a published release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Translation:
    """What the release calls the weights of a module.

    Args:
        names: release name to the name of our parameter or buffer.
        unused: names, or beginnings before a dot, that the release stores and no output needs.
        numbers: release name to the object and its attribute, of a number that is no parameter.
        transposed: release names whose matrices are stored (in, out).
        first: of release names, how many entries are used; no output needs the others.
        halves: of release names of matrices, the names for their left and their right columns.
        settle: called with the module at the end, for state that is more than a number.
    """

    names: Mapping[str, str]
    unused: tuple[str, ...] = ()
    numbers: Mapping[str, tuple[object, str]] = field(default_factory=dict)
    transposed: frozenset[str] = frozenset()
    first: Mapping[str, int] = field(default_factory=dict)
    halves: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    settle: Callable[[nn.Module], None] = lambda module: None

    def knows(self, name: str) -> bool:
        """Whether the release stores a weight of this name, used or not."""
        known = {*self.names, *self.numbers, *self.halves}
        return name in known or self.leaves_out(name)

    def leaves_out(self, name: str) -> bool:
        """Whether no output needs the weight of this name."""
        return any(name == entry or name.startswith(entry + ".") for entry in self.unused)


def sequential_names(module: nn.Module, release: str, ours: str) -> dict[str, str]:
    """Names of a part whose entries the release numbers as we do: the two prefixes differ."""
    return {release + name: ours + name for name in module.state_dict()}


def fill(module: nn.Module, tensors: Mapping[str, np.ndarray], translation: Translation) -> None:
    """Fill ``module`` in place; see :func:`tests.release_weights.load_release`."""
    of_module = _own_state(module)
    filled: dict[str, Tensor] = {}
    constants: dict[str, float] = {}
    tensors = _divided(tensors, translation.halves)
    for release_name, array in tensors.items():
        if translation.leaves_out(release_name):
            continue
        value = torch.as_tensor(array)
        if release_name in translation.transposed:
            value = value.t()
        value = (
            value[: translation.first[release_name]] if release_name in translation.first else value
        )
        if release_name in translation.numbers:
            if value.numel() != 1:
                raise ValueError(f"{release_name} must hold one number, got {tuple(value.shape)}")
            constants[release_name] = value.item()
            continue
        if release_name not in translation.names:
            raise KeyError(f"{type(module).__name__} has no place for {release_name}")
        name = translation.names[release_name]
        if value.shape != of_module[name].shape:
            raise ValueError(
                f"{release_name} has shape {tuple(value.shape)}, "
                f"{name} needs {tuple(of_module[name].shape)}"
            )
        filled[name] = value
    missing = sorted(of_module.keys() - filled.keys())
    given = {attribute for name, (_, attribute) in translation.numbers.items() if name in constants}
    missing += sorted({attribute for _, attribute in translation.numbers.values()} - given)
    if missing:
        raise KeyError(f"the release's weights lack {', '.join(missing)}")
    # Nothing is written before everything is known to fit.
    with torch.no_grad():
        for name, value in filled.items():
            of_module[name].copy_(value)
    for release_name, number in constants.items():
        setattr(*translation.numbers[release_name], number)
    translation.settle(module)


def _divided(
    tensors: Mapping[str, np.ndarray], halves: Mapping[str, tuple[str, str]]
) -> dict[str, np.ndarray]:
    """With matrices in halves under the names of these."""
    divided = dict(tensors)
    for name in halves.keys() & divided.keys():
        divided.update(zip(halves[name], np.split(divided.pop(name), 2, axis=1), strict=True))
    return divided


def _own_state(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, without what only counts batches."""
    buffers = {k: v for k, v in module.named_buffers() if not k.endswith("num_batches_tracked")}
    return {**dict(module.named_parameters()), **buffers}
