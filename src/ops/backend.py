"""Which form of the operators runs: compiled kernels on the CPU, plain PyTorch everywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_plain_only = False


def compiled(tensor: Tensor) -> bool:
    """Whether an operator on such a tensor runs its compiled kernel."""
    return tensor.device.type == "cpu" and not _plain_only


@contextmanager
def plain() -> Iterator[None]:
    """Within, every operator runs in plain PyTorch: the reference that kernels are tested against.

    A backward pass runs in the form that its forward pass ran in.
    """
    global _plain_only
    before, _plain_only = _plain_only, True
    try:
        yield
    finally:
        _plain_only = before
