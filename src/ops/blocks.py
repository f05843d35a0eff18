"""Work on blocks of rows side by side, each block on one thread from beginning to end."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

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
    torch.set_num_threads(1)
    try:
        if threads == 1 or count == 1:
            with torch.no_grad():
                return [function(block) for block in range(count)]
        work = [_threads(threads).submit(torch.no_grad()(function), b) for b in range(count)]
        wait(work)  # also after an error: what still runs is to have one thread
        return [block.result() for block in work]
    finally:
        torch.set_num_threads(threads)


def _threads(count: int) -> ThreadPoolExecutor:
    global _pool
    if _pool is None or _pool[0] != count:
        _pool = count, ThreadPoolExecutor(count, "block", initializer=_use_one_thread)
    return _pool[1]


def _use_one_thread() -> None:
    # The number is a setting of the thread; torch takes it up when it is first asked for it.
    torch.set_num_threads(1)
    torch.get_num_threads()


def _forget_threads() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)  # a fork has none of its parent's threads
