"""What torch reads from the environment, once, when it is loaded."""

from __future__ import annotations

import os


def prepare_environment() -> None:
    """Set what is not set yet, for torch here and for the processes that this one starts."""
    # torch's threads wait for each other by spinning. Beside a second busy process they would spin
    # away each other's time (measured in docs/results.md).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
