"""How long an audit of a run may take."""

from __future__ import annotations

import time
from collections.abc import Callable

_SHARE, _LEAST = 0.05, 1.0


class Limit:
    """A twentieth of the run, or 1 second, whichever is more; less after a request to stop.

    Args:
        seconds: of the run.
        stop_requested: whether the rest is to be left out.
    """

    def __init__(self, seconds: float, stop_requested: Callable[[], bool] = lambda: False) -> None:
        self._end = time.perf_counter() + max(_LEAST, _SHARE * seconds)
        self._stop_requested = stop_requested

    @property
    def left(self) -> float:
        """Seconds that are left, 0 for none."""
        return 0.0 if self._stop_requested() else max(0.0, self._end - time.perf_counter())
