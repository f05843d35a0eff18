"""Work on blocks of rows side by side, each block on one thread from beginning to end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

_pool: tuple[int, ThreadPoolExecutor] | None = None


def map_blocks(function: Callable[[int], Tensor], count: int) -> list[Tensor]:
    """``[function(0), …, function(count - 1)]``, computed by torch's number of threads.

    Within ``function`` torch has one thread, so that what it computes does not depend on their
    number, small operators need not wait for each other, and a block stays in one core's cache.
    Gradients are not recorded. For the CPU.
    """
    threads = torch.get_num_threads()
    if threads == 1 or count == 1:
        with torch.no_grad():
            return [function(block) for block in range(count)]
    torch.set_num_threads(1)
    try:
        return list(_threads(threads).map(torch.no_grad()(function), range(count)))
    finally:
        torch.set_num_threads(threads)


def _threads(count: int) -> ThreadPoolExecutor:
    global _pool
    if _pool is None or _pool[0] != count:
        # The number of threads is a setting of the thread that asks for it.
        _pool = (
            count,
            ThreadPoolExecutor(
                count,
                thread_name_prefix="block",
                initializer=torch.set_num_threads,
                initargs=(1,),
            ),
        )
    return _pool[1]
