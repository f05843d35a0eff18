"""Which form of the operators runs: compiled kernels on the CPU, plain PyTorch everywhere else.

On a GPU, `torch.compile` can make one kernel of each of the small plain functions marked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

_DTYPES = (torch.float32, torch.float64, torch.int32, torch.int64)
_plain_only = False
_fuse = False

F = TypeVar("F", bound=Callable[..., Any])


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


def fuse(enabled: bool) -> None:
    """Whether functions marked :func:`fusable` are compiled, for tensors on a GPU."""
    global _fuse
    _fuse = enabled


def fusable(function: F) -> F:
    """Mark a plain function, its first argument a tensor, that `torch.compile` may compile."""

    @cache
    def fused() -> Callable[..., Any]:  # when it is needed: the compiler takes seconds to import
        return torch.compile(function, dynamic=True)

    @wraps(function)
    def call(x: Tensor, *others: Any) -> Any:
        fuse = _fuse and x.is_cuda and not _plain_only
        return (fused() if fuse else function)(x, *others)

    return call  # type: ignore[return-value]


def exact(x: Tensor) -> Tensor:
    """``x`` as float32 where it has 16 bits (autocast), in which sums would lose their digits."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
