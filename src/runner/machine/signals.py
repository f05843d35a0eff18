"""Stop a run when the system or its user asks, without losing what it has done."""

from __future__ import annotations

import logging
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger(__name__)

# SIGUSR1 is what Slurm is told to warn with (`--signal=B:USR1@60`).
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# What a launcher warns with: it queues the job again, in a handler of its own.
_OF_A_LAUNCHER = signal.SIGUSR2
_HURRY_SECONDS = 2.0


class StopOnSignals:
    """Inside a `with`, the first SIGINT, SIGTERM or SIGUSR1 is a request, the same again kills.

    Handlers run on the main thread and only between calls of native code, which may take minutes.
    So a thread of its own hears of the signals at once, and ends the process when time is up.

    Where a launcher handles SIGUSR2 (submitit queues the job again and exits), it does so once the
    `with` is left: the run's state is saved by then.

    Args:
        grace_seconds: after which `give_up` is called, if the `with` has not been left by then.
        give_up: ends the process; called on that thread, whatever the main thread is at.

    Attributes:
        requested: whether there was one.
    """

    def __init__(self, *, grace_seconds: float, give_up: Callable[[], None]) -> None:
        self.requested = False
        self._grace_seconds = grace_seconds
        self._give_up = give_up
        self._before: dict[int, Any] = {}
        self._warned = False  # by a launcher

    def __enter__(self) -> StopOnSignals:
        if threading.current_thread() is not threading.main_thread():
            return self  # signals are somebody else's
        self._hears, self._told = socket.socketpair()
        self._told.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        self._watch = threading.Thread(target=self._watching, daemon=True)
        self._watch.start()
        for number in (*SIGNALS, _OF_A_LAUNCHER):
            if number in SIGNALS or callable(signal.getsignal(number)):
                self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._told.close()
        self._watch.join()
        self._hears.close()
        if self._warned:
            self._before[_OF_A_LAUNCHER](_OF_A_LAUNCHER, None)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._warned |= number == _OF_A_LAUNCHER
        # A scheduler may send several kinds; only the same one again means hurry.
        signal.signal(number, signal.default_int_handler)

    def _watching(self) -> None:
        seen: set[int] = set()
        deadline = None
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._hears], [], [], left)[0]:
                self._give_up()
                return
            told = self._hears.recv(1)
            if not told:
                return
            number = told[0]
            if number not in self._before:
                continue
            if not seen:
                deadline = time.monotonic() + self._grace_seconds
                log.warning(
                    "%s: the run stops after this step, or in %g seconds at the latest "
                    "(train.grace_seconds)",
                    signal.Signals(number).name,
                    self._grace_seconds,
                )
            elif number in seen:
                deadline = time.monotonic() + _HURRY_SECONDS
            seen.add(number)
