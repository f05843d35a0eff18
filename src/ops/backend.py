"""Which form of the operators runs: compiled kernels on the CPU, plain PyTorch everywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_DTYPES = (torch.float32, torch.float64, torch.int64)
_plain_only = False


def compiled(tensor: Tensor, *more: torch.dtype) -> bool:
    """Whether an operator on such a tensor runs its compiled kernel.

    Args:
        more: types for which this operator has a kernel besides the common ones.
    """
    known = tensor.dtype in _DTYPES or tensor.dtype in more
    return tensor.device.type == "cpu" and known and not _plain_only


def only_plain() -> bool:
    """Whether this is within :func:`plain`."""
    return _plain_only


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
