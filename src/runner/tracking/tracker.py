"""What a run tells a tracker: a mirror of its records, which are local files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.tracking.media import Medium


@dataclass(frozen=True)
class RunInfo:
    """A run, as a tracker is told of it.

    Attributes:
        folder: where its records are.
        run_id: the same in every resume of the run.
        name: what it is called.
        group: its experiment, which it shares with its repeats.
        config: resolved.
        resumed: whether it goes on with an earlier process's work.
    """

    folder: Path
    run_id: str
    name: str
    group: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    resumed: bool


class Tracker:
    """A tracker that does nothing. A subclass overrides what it wants to know of.

    It is told `start` once, `log` once an epoch, `show_media` at most once, `finish` once. Its
    calls may take their time, and may fail: `tracking.background` keeps both from the run.

    Attributes:
        init_timeout, finish_timeout: seconds that `start` and `finish` may take.
        upload_command: the shell command that uploads what lies here only; None if there is none.
        url: where the run can be seen, if it is online.
        wants_media: whether media are to be computed for it.
    """

    init_timeout: float = 0.0
    finish_timeout: float = 0.0
    upload_command: str | None = None
    url: str | None = None
    wants_media: bool = False

    def start(self, run: RunInfo) -> None:
        """Begin, or go on with, a run."""

    def log(self, row: Mapping[str, float | int], step: int) -> None:
        """Take one epoch's line of metrics.jsonl; `step` is the epoch."""

    def show_media(self, media: Mapping[str, Medium]) -> None:
        """Take what a run shows at its end, by name; once, after the last `log`."""

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        """End the run; `summary` is that of summary.json, empty if the run did not get there."""

    def abandon(self) -> None:
        """Break off the call that has not come back in time; called from another thread."""


class NullTracker(Tracker):
    """Tracks nothing."""


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
