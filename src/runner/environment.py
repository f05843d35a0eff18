"""What torch and the C library read from the environment, once, when a process begins."""

from __future__ import annotations

import os

_TUNABLES = "GLIBC_TUNABLES"


def prepare_environment() -> bool:
    """Set what is not set yet, for torch here and for the processes that this one starts.

    Returns:
        Whether it holds something that this process would have had to begin with.
    """
    # torch's threads wait for each other by spinning. Beside a second busy process they would spin
    # away each other's time (measured in docs/results.md).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    return _is_glibc() and _keep_holes_whole()


def _keep_holes_whole() -> bool:
    """Have what tensors leave be as large as they were: a quarter less memory, measured.

    torch's aligned tensors leave slivers of some bytes before and behind them. glibc caches small
    pieces for each thread, apart from the holes that they belong to; a hole without its slivers is
    too small for the next tensor of the same size, which then takes new memory.
    """
    given = os.environ.get(_TUNABLES, "")
    ours = [f"glibc.malloc.{name}=0" for name in ("tcache_count", "mxfast") if name not in given]
    os.environ[_TUNABLES] = ":".join([*filter(None, [given]), *ours])
    return bool(ours)


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, OSError, ValueError):
        return False
