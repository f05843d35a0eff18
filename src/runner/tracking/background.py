"""A tracker on a separate thread, whose delays and failures do not reach the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any

from runner.tracking.media import Medium
from runner.tracking.tracker import RunInfo, Tracker, first_line

log = logging.getLogger(__name__)

# A tracker keeps its timeouts itself; this time is for its import, processes and files.
_GRACE_SECONDS = 15.0
_ABANDON_SECONDS = 3.0  # for the thread to end after `abandon`


class SafeTracker(Tracker):
    """Calls a tracker on a separate thread, in order, and keeps its failures from the run.

    The first failure is logged; after it, only `finish` is called. The run waits for `finish`
    alone, for the timeouts of the tracker, then it abandons the tracker.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: the end
        self._end: Callable[[], None] = lambda: None
        self._failed = False
        self._started = 0.0
        # Not Thread.join: an interrupt may mark the thread as ended (bpo-45274).
        self._ended = Event()
        # A daemon, so that a call that never returns does not hold the process.
        self._thread = Thread(target=self._work, name="tracker", daemon=True)

    @property
    def upload_command(self) -> str | None:  # type: ignore[override]
        return self._tracker.upload_command

    @property
    def url(self) -> str | None:  # type: ignore[override]
        return self._tracker.url

    def start(self, run: RunInfo) -> None:
        self._started = monotonic()
        self._calls.put(partial(self._tracker.start, run))
        self._thread.start()

    def log(self, row: Mapping[str, float | int], step: int) -> None:
        self._calls.put(partial(self._tracker.log, dict(row), step))

    @property
    def wants_media(self) -> bool:  # type: ignore[override]
        """Those of the tracker; a failed tracker wants no media."""
        return not self._failed and self._tracker.wants_media

    def show_media(self, media: Mapping[str, Medium]) -> None:
        self._calls.put(partial(self._tracker.show_media, media))

    @property
    def wants_model(self) -> bool:  # type: ignore[override]
        return not self._failed and self._tracker.wants_model

    def keep_model(self, write: Callable[[Path], None]) -> None:
        self._calls.put(partial(self._tracker.keep_model, write))

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        self._end = partial(self._tracker.finish, summary, exit_code)
        self._calls.put(None)
        left_to_start = max(0.0, self._started + self._tracker.init_timeout - monotonic())
        try:
            self._ended.wait(left_to_start + self._tracker.finish_timeout + _GRACE_SECONDS)
        finally:  # an interrupt of this wait abandons it too
            if not self._ended.is_set():
                self._give_up()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if not self._failed:
                self._guard(call)
        # After a failure too: the tracker can still save the earlier calls.
        self._guard(self._end)
        self._ended.set()

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self._fail(f"failed ({type(error).__name__}: {first_line(error)})")

    def _give_up(self) -> None:
        self._fail("does not come to its end")
        self._tracker.abandon()
        self._ended.wait(_ABANDON_SECONDS)

    def _fail(self, how: str) -> None:
        if not self._failed:
            self._failed = True
            log.warning("the tracker %s; the run goes on without it", how)
