"""Environment variables that torch reads once, when it is loaded."""

from __future__ import annotations

import os


def prepare_environment() -> None:
    """Set missing variables, for torch in this process and in the processes that it starts."""
    # torch's threads wait for each other by spinning, which slows down a second busy process on
    # the same cores (measured in docs/results.md).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
