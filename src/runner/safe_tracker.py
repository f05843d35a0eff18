"""A tracker whose failures are not the run's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.tracking import Tracker, first_line

log = logging.getLogger(__name__)


class SafeTracker:
    """Keeps a tracker's failures from the run: the first one is logged, then it is silent."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._failed = False

    @property
    def upload_command(self) -> str | None:
        return self._tracker.upload_command

    @property
    def url(self) -> str | None:
        return self._tracker.url

    def start(
        self,
        *,
        folder: Path,
        run_id: str,
        name: str,
        group: str,
        job_type: str,
        tags: Sequence[str],
        config: Mapping[str, Any],
        resumed: bool,
    ) -> None:
        self._guard(
            lambda: self._tracker.start(
                folder=folder,
                run_id=run_id,
                name=name,
                group=group,
                job_type=job_type,
                tags=tags,
                config=config,
                resumed=resumed,
            )
        )

    def log(self, row: Mapping[str, float | int], step: int) -> None:
        self._guard(lambda: self._tracker.log(row, step))

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        # Tried after a failure too: what did arrive may still be brought to its end.
        self._guard(lambda: self._tracker.finish(summary, exit_code), always=True)

    def _guard(self, call: Callable[[], None], *, always: bool = False) -> None:
        if self._failed and not always:
            return
        try:
            call()
        except Exception as error:
            if self._failed:
                return
            self._failed = True
            log.warning(
                "the tracker failed (%s: %s); the run goes on without it",
                type(error).__name__,
                first_line(error),
            )
