"""The interface of trackers, which mirror the local records of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.tracking.media import Medium


@dataclass(frozen=True)
class RunInfo:
    """The facts about a run for a tracker.

    Attributes:
        folder: the folder of its records.
        run_id: the same in every resume of the run.
        name: its name in the tracker.
        group: its experiment, the same for all repeats.
        config: the resolved config.
        resumed: whether the run resumes an earlier process's work.
        epochs: the number of the last epoch, where none ends the run before.
    """

    folder: Path
    run_id: str
    name: str
    group: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    resumed: bool
    epochs: int


class Tracker:
    """A tracker that does nothing. A subclass overrides the methods that it needs.

    A run calls `start` once, `log` once for each epoch, `show_media` and `keep_model` at most once,
    `finish` once.
    The calls may be slow, and may fail: `tracking.background` keeps both from the run.

    Attributes:
        init_timeout, finish_timeout: time limits of `start` and `finish` in seconds.
        upload_command: the shell command that uploads local records; None if there are none.
        url: the address of an online run.
        wants_media: whether the run computes media for the tracker.
        wants_model: whether it gives the trained model.
    """

    init_timeout: float = 0.0
    finish_timeout: float = 0.0
    upload_command: str | None = None
    url: str | None = None
    wants_media: bool = False
    wants_model: bool = False

    def start(self, run: RunInfo) -> None:
        """Begin or resume a run."""

    def log(self, row: Mapping[str, float | int], step: int) -> None:
        """Take one epoch's line of metrics.jsonl; `step` is the epoch."""

    def show_media(self, media: Mapping[str, Medium]) -> None:
        """Take the media of a run by name; called once, after the last `log`."""

    def keep_model(self, write: Callable[[Path], None]) -> None:
        """Take the model of the best epoch; `write` writes it into an empty folder."""

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        """End the run; `summary` is the content of summary.json, empty before a first epoch."""

    def abandon(self) -> None:
        """Break off a call that exceeds its time limit; called from another thread."""


class NullTracker(Tracker):
    """Tracks nothing."""


def first_line(error: Exception) -> str:
    """The message of an error, in one line."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
