"""The recorder of the training loop: metrics.jsonl, checkpoints, tracker, progress display."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from runner.progress import Progress
from runner.run_folder import RunFolder
from runner.state import TrainingState
from runner.tracking import Tracker


class RunRecorder:
    """Writes each epoch where it belongs, in an order that a kill at any point survives.

    The metrics line first, then best.pt, then last.pt: what stands in last.pt has all been
    written; what was written after it is dropped and done again by a resume.
    """

    def __init__(
        self,
        *,
        folder: RunFolder,
        tracker: Tracker,
        progress: Progress,
        save: Callable[[Path, TrainingState], None],
        peak_memory_gib: Callable[[], float],
        selection: str,
        checkpoint_minutes: float,
    ) -> None:
        self.folder = folder
        self.tracker = tracker
        self.progress = progress
        self.save = save
        self.peak_memory_gib = peak_memory_gib
        self.selection = selection
        self.checkpoint_seconds = 60 * checkpoint_minutes
        self.stopping = False
        self._saved = time.monotonic()

    def step(self, state: TrainingState, steps: int, loss: float) -> None:
        self.progress.step(state.step, steps, loss)

    def epoch(self, row: dict[str, float], state: TrainingState, improved: bool) -> None:
        epoch = int(row["epoch"])
        row = {**row, "memory_gib": self.peak_memory_gib()}
        self.folder.append_metrics(row)
        self.tracker.log(row, step=epoch)
        if improved:
            self.save(self.folder.checkpoints / "best.pt", state)
        self.checkpoint(state)
        assert state.best is not None
        self.progress.epoch(
            epoch,
            row.get("loss"),
            row[f"valid/{self.selection}"],
            row["seconds"],
            best=state.best["valid"][self.selection],
        )

    def checkpoint(self, state: TrainingState) -> None:
        self.save(self.folder.checkpoints / "last.pt", state)
        self._saved = time.monotonic()

    def checkpoint_due(self) -> bool:
        return time.monotonic() - self._saved >= self.checkpoint_seconds

    def stop_requested(self) -> bool:
        return self.stopping

    @contextmanager
    def stop_on_signals(self) -> Iterator[None]:
        """Make the first SIGINT or SIGTERM a stop after the current step; a second one kills."""

        def request(number: int, frame: FrameType | None) -> None:
            self.stopping = True
            signal.signal(number, before[number])

        before: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                before[number] = signal.signal(number, request)
            except ValueError:  # not the main thread: signals are somebody else's
                continue
        try:
            yield
        finally:
            for changed, handler in before.items():
                signal.signal(changed, handler)
