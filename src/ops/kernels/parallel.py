"""Run a compiled kernel on all threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from runner.ops.threads import workers

_SMALL = 50_000  # elementary operations that are not worth another thread
_PARTS_PER_THREAD = 8  # at most, so that parts of unequal cost even out
_LONG = 500_000  # operations of a part, from which on handing it out costs nothing beside them


def parallel(kernel: Callable[..., Any], count: int, *arguments: Any, cost: float) -> list[Any]:
    """Call ``kernel(begin, end, *arguments)`` on ranges that cover 0 to ``count``.

    Kernels release the GIL, write to disjoint places, and return what is put together in the order
    of the ranges, so that nothing depends on the number of threads, which is torch's.

    Args:
        arguments: tensors become arrays over the same memory.
        cost: elementary operations of one of the ``count`` pieces, about.

    Returns:
        What the calls return, as :func:`split` does.
    """
    threads = torch.get_num_threads()
    busy = min(threads, int(count * cost / _SMALL))
    each = min(max(1, int(count * cost / threads / _LONG)), _PARTS_PER_THREAD)
    parts = max(1, min(count, busy * each))
    return split(kernel, [count * part // parts for part in range(parts + 1)], *arguments)


def split(kernel: Callable[..., Any], bounds: Sequence[int], *arguments: Any) -> list[Any]:
    """Call ``kernel(begin, end, *arguments)`` on the ranges between these ascending bounds.

    Returns:
        What the calls return, in the order of the ranges: one call for all, where there is but one
        thread.
    """
    plain = [array(a) if isinstance(a, Tensor) else a for a in arguments]
    ranges = list(itertools.pairwise(bounds))
    if torch.get_num_threads() == 1:
        ranges = [(bounds[0], bounds[-1])]
    return run(kernel, [(*ends, *plain) for ends in ranges])


def run(kernel: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> list[Any]:
    """Call ``kernel`` with each of these arguments, tensors as arrays.

    Returns:
        What the calls return, in their order.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(calls) == 1:
        return [kernel(*call) for call in calls]
    work = [workers(threads).submit(kernel, *call) for call in calls]
    return [piece.result() for piece in work]


def array(x: Tensor) -> Any:
    """The NumPy array over the memory of ``x``, which must be contiguous."""
    assert x.is_contiguous(), "a kernel reads rows one after the other"
    return x.detach().numpy()
