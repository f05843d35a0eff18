"""The device and threads of a run, and its peak memory."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from runner.errors import RunnerError
from runner.ops import backend

log = logging.getLogger(__name__)


def set_up(
    *,
    device: str,
    threads: int | None,
    deterministic: bool,
    keep_freed_memory: bool = True,
    compile: bool = False,
    place: tuple[int, int] = (0, 1),
) -> torch.device:
    """Choose the device, the number of threads and deterministic kernels for this process.

    Args:
        threads: None shares the cores of this process among the processes of the run.
        keep_freed_memory: do not return the memory of freed tensors to the system, on Linux: the
            system need not clear it again, but holes between tensors stay in the process.
        compile: on a GPU, fuse small operators (:func:`runner.ops.backend.fuse`).
        place: the number of this process on this machine, and the number of processes there.

    Raises:
        RunnerError: if there is no GPU, or not one for each process, though the config wants one.
    """
    number, processes = place
    if device == "cuda" and not torch.cuda.is_available():
        raise RunnerError(
            "hardware.device=cuda: torch sees no GPU on this machine; "
            "use hardware=cpu, or hardware=auto to take a GPU only where there is one"
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise RunnerError(
            "hardware.device=mps: torch sees no Apple GPU here; use hardware=auto or hardware=cpu"
        )
    if device == "mps" and processes > 1:
        raise RunnerError(
            f"hardware.processes={processes}: an Apple GPU takes one; use hardware.device=cpu"
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        log.info(
            "hardware.device=auto: %s", "a GPU" if device == "cuda" else "the CPU, no GPU here"
        )
    torch.set_num_threads(threads or max(1, _available_cores() // processes))
    _keep_freed_memory(keep_freed_memory)
    backend.fuse(compile)
    _use_deterministic_kernels(deterministic, device, compile)
    if deterministic:
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if device == "cuda" and processes > 1:
        if processes > torch.cuda.device_count():
            raise RunnerError(
                f"hardware.processes: {processes} on this machine, which has "
                f"{torch.cuda.device_count()} GPUs, and each takes one; give fewer, or hardware=cpu"
            )
        torch.cuda.set_device(number)
        return torch.device(device, number)
    return torch.device(device)


def _use_deterministic_kernels(deterministic: bool, device: str, compile: bool) -> None:
    """On a GPU some kernels have no deterministic form: torch warns of these instead of raising."""
    if compile:
        torch.use_deterministic_algorithms(deterministic, warn_only=device == "cuda")
    else:  # the same without the import of torch's compiler, which takes a second
        mode = "warn" if device == "cuda" else "error"
        torch.set_deterministic_debug_mode(mode if deterministic else "default")


def warn_of_emulated(precisions: Mapping[str, str | None], device: torch.device) -> None:
    """Warn if the processor emulates a precision, which takes longer.

    Args:
        precisions: precision by config key.
    """
    known = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    asked = [f"{key}={value}" for key, value in precisions.items() if value == "bfloat16"]
    if asked and device.type == "cpu" and not known():
        log.warning(
            "%s: this processor emulates it, and steps take several times as long; leave it out, "
            "or use a GPU",
            " and ".join(asked),
        )


def _keep_freed_memory(keep: bool) -> None:
    """Let glibc reuse the memory of large tensors, or return it to the system (its default).

    A training step frees and allocates the same sizes again; the system would zero every page
    again, which costs a third of an NCN step (docs/performance.md).
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_max, 0 if keep else 65_536)
        mallopt(trim_threshold, 2**31 - 1 if keep else 128 * 2**10)
        mallopt(top_pad, 64 * 2**20 if keep else 0)


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak, so that the jobs of a sweep in one process do not inherit it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_gib(device: torch.device) -> float:
    """The peak memory of this run: allocated on the GPU, or resident on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
