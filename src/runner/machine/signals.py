"""Stop a run on a signal of the system or the user, without losing its work."""

from __future__ import annotations

import logging
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger(__name__)

# Slurm warns with SIGUSR1 (`--signal=B:USR1@60`).
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# A launcher warns with SIGUSR2: its own handler queues the job again.
_LAUNCHER_SIGNAL = signal.SIGUSR2
_HURRY_SECONDS = 2.0
_is_guest: ContextVar[bool] = ContextVar("is_guest", default=False)


@contextmanager
def guest() -> Iterator[None]:
    """Inside, the process is a caller's (a notebook's): no run ends it, however late it stops."""
    token = _is_guest.set(True)
    try:
        yield
    finally:
        _is_guest.reset(token)


@contextmanager
def ignored_by_children(number: signal.Signals) -> Iterator[None]:
    """Inside, processes start that ignore a signal; off the main thread they cannot be told so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


class StopOnSignals:
    """Inside a `with`, the first SIGINT, SIGTERM or SIGUSR1 is a request, the same again kills.

    Handlers run on the main thread and only between calls of native code, which may take minutes.
    So a separate thread receives the signals at once, and ends the process when time is up.

    If a launcher handles SIGUSR2 (submitit queues the job again and exits), its handler runs at the
    end of the `with`, when the state of the run is saved.

    Args:
        grace_seconds: time from the first signal to `give_up`, unless the `with` ends before.
        give_up: ends the process; called on the separate thread, and never for a :func:`guest`,
            whose main thread the second signal interrupts when its native call returns.

    Attributes:
        requested: whether a signal has requested a stop.
    """

    def __init__(self, *, grace_seconds: float, give_up: Callable[[], None]) -> None:
        self.requested = False
        self._grace_seconds = grace_seconds
        self._give_up = None if _is_guest.get() else give_up
        self._before: dict[int, Any] = {}
        self._warned = False  # by the launcher

    def __enter__(self) -> StopOnSignals:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread may handle signals
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._watch = threading.Thread(target=self._watch_signals, daemon=True)
        self._watch.start()
        for number in (*SIGNALS, _LAUNCHER_SIGNAL):
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
        self._sender.close()
        self._watch.join()
        self._receiver.close()
        if self._warned:
            self._before[_LAUNCHER_SIGNAL](_LAUNCHER_SIGNAL, None)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._warned |= number == _LAUNCHER_SIGNAL
        # A scheduler may send several signals; only the same one again means hurry.
        signal.signal(number, signal.default_int_handler)

    def _watch_signals(self) -> None:
        seen: set[int] = set()
        deadline = None
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._receiver], [], [], left)[0]:
                assert self._give_up is not None, "only then is there a deadline"
                self._give_up()
                return
            received = self._receiver.recv(1)
            if not received:
                return
            number = received[0]
            if number not in self._before:
                continue
            if self._give_up is None:
                if not seen:
                    log.warning("%s: the run stops after this step", signal.Signals(number).name)
            elif not seen:
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
