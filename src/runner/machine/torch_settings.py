"""torch's settings of the whole process: a fresh one's for a run, the caller's afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch


@contextmanager
def fresh_settings() -> Iterator[None]:
    """Inside, what a process begins with: a run gives the same bits whatever its caller has set.

    Default type and device, precision of float32 products, gradients and deterministic kernels are
    set and put back; the number of threads, the current GPU and the states of torch's generators
    are put back.
    """
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    before: tuple[tuple[Callable[[Any], object], Any], ...] = (
        (torch.set_default_dtype, torch.get_default_dtype()),
        (torch.set_float32_matmul_precision, torch.get_float32_matmul_precision()),
        (torch.set_deterministic_debug_mode, torch.get_deterministic_debug_mode()),
        (torch.set_num_threads, torch.get_num_threads()),
        (torch.set_rng_state, torch.get_rng_state()),
    )
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    gpu = (torch.cuda.current_device(), torch.cuda.get_rng_state_all()) if on_gpu else None
    # A device context slows every call down: none where the CPU is the default already.
    elsewhere = torch.get_default_device().type != "cpu"
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")
    torch.set_deterministic_debug_mode("default")
    try:
        with (
            torch.device("cpu") if elsewhere else nullcontext(),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield
    finally:
        for put_back, value in before:
            put_back(value)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        if gpu is not None:
            torch.cuda.set_device(gpu[0])
            torch.cuda.set_rng_state_all(gpu[1])
