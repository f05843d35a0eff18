"""How long the audits of a run may take."""

from __future__ import annotations

import time
from collections.abc import Callable

_SHARE, _LEAST = 0.1, 2.0


class Limit:
    """A tenth of the run, or 2 seconds, whichever is more; less after a request to stop.

    Args:
        seconds: of the run.
        stop_requested: whether the rest is to be left out.
    """

    def __init__(self, seconds: float, stop_requested: Callable[[], bool] = lambda: False) -> None:
        self._began = time.perf_counter()
        self._allowed = max(_LEAST, _SHARE * seconds)
        self._stop_requested = stop_requested

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._began

    @property
    def left(self) -> float:
        """Seconds that are left, 0 for none."""
        return 0.0 if self._stop_requested() else max(0.0, self._allowed - self.spent)
