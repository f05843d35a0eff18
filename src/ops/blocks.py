"""Work on blocks of rows side by side, each block on one thread from beginning to end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait

import torch
from torch import Tensor

from runner.ops.threads import workers


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
        work = [workers(threads).submit(torch.no_grad()(function), b) for b in range(count)]
        wait(work)  # also after an error: what still runs is to have one thread
        return [block.result() for block in work]
    finally:
        torch.set_num_threads(threads)
