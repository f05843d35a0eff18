"""Stop a run when the system or its user asks, without losing what it has done."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger(__name__)

# SIGUSR1 is what Slurm is told to warn with (`--signal=B:USR1@60`).
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopOnSignals:
    """Inside a `with`, the first SIGINT, SIGTERM or SIGUSR1 is a request, the second one kills.

    Args:
        grace_seconds: after which `give_up` is called, if the `with` has not been left by then.
        give_up: ends the process; called on a thread of its own, whatever the main thread is at.

    Attributes:
        requested: whether there was one.
    """

    def __init__(self, *, grace_seconds: float, give_up: Callable[[], None]) -> None:
        self.requested = False
        self._grace_seconds = grace_seconds
        self._give_up = give_up
        self._left = threading.Event()
        self._countdown: threading.Thread | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopOnSignals:
        for number in SIGNALS:
            try:
                self._before[number] = signal.signal(number, self._request)
            except ValueError:  # not the main thread: signals are somebody else's
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        # A scheduler may send several kinds; only the same one again means hurry.
        signal.signal(number, signal.default_int_handler)
        if self._countdown is None:
            # A log line of the handler's own could come in the middle of another one.
            self._countdown = threading.Thread(target=self._count_down, args=[number], daemon=True)
            self._countdown.start()

    def _count_down(self, number: int) -> None:
        log.warning(
            "%s: the run stops after this step, or in %g seconds at the latest "
            "(train.grace_seconds)",
            signal.Signals(number).name,
            self._grace_seconds,
        )
        if not self._left.wait(self._grace_seconds):
            self._give_up()
