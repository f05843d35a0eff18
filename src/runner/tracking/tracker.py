"""What a run tells a tracker: a mirror of its records, which are local files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from runner.tracking.media import Medium


class Tracker(Protocol):
    """What a run tells a tracker: `start` once, `log` once an epoch, `finish` once.

    One that shows media too is a :class:`MediaTracker`.
    """

    @property
    def upload_command(self) -> str | None:
        """The shell command that uploads what lies here only; None if there is nothing to do."""

    @property
    def url(self) -> str | None:
        """Where the run can be seen, if it is online."""

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
        """Begin, or go on with, the run `run_id`, whose records are in `folder`."""

    def log(self, row: Mapping[str, float | int], step: int) -> None:
        """Take one epoch's line of metrics.jsonl; `step` is the epoch."""

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        """End the run; `summary` is that of summary.json, empty if the run did not get there."""


class BlockingTracker(Tracker, Protocol):
    """A tracker whose calls may take their time: `tracking.background` keeps them from the run.

    Attributes:
        init_timeout: seconds that `start` may take.
        finish_timeout: seconds that `finish` may take.
    """

    init_timeout: float
    finish_timeout: float

    def abandon(self) -> None:
        """Break off the call that has not come back in time; called from another thread."""


class MediaTracker(Protocol):
    """A tracker that shows more than numbers; for another one nothing is computed."""

    @property
    def wants_media(self) -> bool:
        """Whether they are to be computed."""

    def show_media(self, media: Mapping[str, Medium]) -> None:
        """Take what a run shows at its end, by name; once, after the last `log`."""


class NullTracker:
    """Tracks nothing."""

    init_timeout = 0.0
    finish_timeout = 0.0
    upload_command: str | None = None
    url: str | None = None

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
        pass

    def log(self, row: Mapping[str, float | int], step: int) -> None:
        pass

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        pass

    def abandon(self) -> None:
        pass


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
