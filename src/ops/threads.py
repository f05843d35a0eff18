"""The threads that kernels and blocks run on."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

_pool: tuple[int, ThreadPoolExecutor] | None = None


def workers(count: int) -> ThreadPoolExecutor:
    """A pool of ``count`` threads, in each of which torch itself has one thread."""
    global _pool
    if _pool is None or _pool[0] != count:
        pool, everybody = ThreadPoolExecutor(count, "ops"), threading.Barrier(count)

        def settle(_: int) -> None:
            # The number is a setting of the thread; torch takes it up when it is first asked for
            # it. It reaches further, though: whoever asks for the pool sets their own anew.
            torch.set_num_threads(1)
            torch.get_num_threads()
            everybody.wait()

        before = torch.get_num_threads()
        list(pool.map(settle, range(count)))
        torch.set_num_threads(before)
        _pool = count, pool
    return _pool[1]


def _forget() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a fork has none of its parent's threads
