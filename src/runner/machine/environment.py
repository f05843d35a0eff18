"""What torch and the C library read from the environment, once, when a process begins."""

from __future__ import annotations

import os

_TUNABLES = "GLIBC_TUNABLES"


def prepare_environment() -> bool:
    """Set what is not set yet, for torch here and for the processes that this one starts.

    Returns:
        Whether something was added that is read only when a process begins.
    """
    # torch's threads wait for each other by spinning. Beside a second busy process they would spin
    # away each other's time (measured in docs/results.md).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    return _is_glibc() and _keep_holes_whole()


def _keep_holes_whole() -> bool:
    """Have a freed tensor leave a hole that the next one of its size fits into.

    Aligning a tensor leaves slivers of some bytes before and behind it. glibc caches small pieces
    by thread (tcache) and by size (fast bins), apart from the holes that they belong to, and a hole
    without its slivers is too small for the same tensor (docs/performance.md). A process can turn
    off fast bins, but not tcache, once it runs.
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
