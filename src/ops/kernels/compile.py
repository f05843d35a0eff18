"""Compile a kernel, and keep the machine code on disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba import extending, njit

# Of any type, since callers leave out the first argument, which Numba gives.
intrinsic: Callable[..., Any] = extending.intrinsic

# Sums may be reordered, so that they can be vectorised; NaN and infinity stay what they are.
FAST = {"reassoc", "contract", "nsz"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` at its first call; it releases the GIL."""
    try:
        compiled = njit(nogil=True, cache=True, fastmath=FAST)(function)
    except RuntimeError:
        # Neither the installation nor the home is writable: compile in every process.
        return njit(nogil=True, fastmath=FAST)(function)
    # Numba looks at the file of a kernel alone, but what it calls from the others is compiled in.
    with suppress(AttributeError):  # of another version of Numba: then it stays so
        compiled._cache._cache_file._source_stamp = _STAMP  # type: ignore[attr-defined]
    return compiled


def _stamp() -> tuple[float, int]:
    files = [path.stat() for path in Path(__file__).parent.glob("*.py")]
    return max(file.st_mtime for file in files), sum(file.st_size for file in files)


_STAMP = _stamp()
