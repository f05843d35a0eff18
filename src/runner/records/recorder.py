"""The recorder of the training loop: metrics.jsonl, checkpoints, tracker, progress display."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from runner.errors import RunnerError
from runner.records import checkpoint
from runner.records.folder import RunFolder
from runner.terminal.progress import Progress
from runner.tracking.tracker import Tracker
from runner.training.state import TrainingState

log = logging.getLogger(__name__)

# Is told epoch, name and value of the validation metric, and raises `Pruned` to end the run.
Judge = Callable[[int, str, float], None]


class RunRecorder:
    """Writes each epoch where it belongs, in an order that a kill at any point survives.

    The metrics line first, then best.pt, then last.pt: what stands in last.pt has all been
    written; what was written after it is dropped and done again by a resume. Where the disk does
    not take it, training goes on, and what is missing is tried again with the next checkpoint.

    Args:
        snapshot: a checkpoint's content at this moment, its records aside.
        judge: of the validation metric after each epoch, once it is saved.
        stop_requested: whether the run shall end after the step under way.
        checkpoint_minutes, checkpoint_steps: what makes a checkpoint due inside an epoch.
        keep_checkpoints: last.pt, and that many less one of its predecessors.
        saved: the epoch and step of the checkpoint that the run goes on from.
    """

    def __init__(
        self,
        *,
        folder: RunFolder,
        tracker: Tracker,
        progress: Progress,
        snapshot: Callable[[TrainingState], dict[str, Any]],
        stop_requested: Callable[[], bool],
        peak_memory_gib: Callable[[], float],
        selection: str,
        judge: Judge | None,
        checkpoint_minutes: float,
        checkpoint_steps: int | None,
        keep_checkpoints: int,
        saved: tuple[int, int] | None = None,
    ) -> None:
        self.folder = folder
        self.tracker = tracker
        self.progress = progress
        self.snapshot = snapshot
        self.stop_requested = stop_requested
        self.peak_memory_gib = peak_memory_gib
        self.selection = selection
        self.judge = judge
        self.checkpoint_seconds = 60 * checkpoint_minutes
        self.checkpoint_steps = checkpoint_steps
        self.keep_checkpoints = keep_checkpoints
        self._saved = saved
        self._saved_at = time.monotonic()
        self._steps = 0  # since the last checkpoint
        self._unsaved_best: dict[str, Any] | None = None
        self._problem: OSError | None = None
        self._told: set[str] = set()  # problems since the last good checkpoint

    def step(self, state: TrainingState, steps: int, loss: float) -> None:
        self._steps += 1
        self.progress.step(state.step, steps, loss)

    def epoch(self, row: dict[str, float], state: TrainingState, improved: bool) -> None:
        epoch = int(row["epoch"])
        row = {**row, "memory_gib": self.peak_memory_gib()}
        try:
            self.folder.append_metrics(row)
        except OSError as error:
            self._warn("metrics.jsonl", error)
        # Under names that are the same for every dataset, so that one chart shows them all.
        selected = {f"selected/{s}": row[f"{s}/{self.selection}"] for s in ("valid", "test")}
        self.tracker.log({**row, **selected}, step=epoch)
        if improved:
            self._unsaved_best = self._content(state)
        self.checkpoint(state)
        assert state.best is not None
        self.progress.epoch(
            epoch,
            row.get("loss"),
            row[f"valid/{self.selection}"],
            row["seconds"],
            best=state.best["valid"][self.selection],
        )
        if self.judge is not None:
            self.judge(epoch, self.selection, row[f"valid/{self.selection}"])

    def checkpoint(self, state: TrainingState) -> None:
        """Save where the run stands; a disk that does not take it is a warning."""
        try:
            self.folder.flush_metrics()
            if self._unsaved_best is not None:
                checkpoint.write(self.folder.checkpoints / "best.pt", self._unsaved_best)
                self._unsaved_best = None
            checkpoint.write(
                self.folder.checkpoints / "last.pt",
                self._content(state),
                keep=self.keep_checkpoints,
            )
        except OSError as error:
            self._warn("the checkpoint", error)
            self._problem = error
            # The next steps change its tensors.
            self._unsaved_best = copy.deepcopy(self._unsaved_best)
        else:
            self._saved = (state.epoch, state.step)
            if self._problem is not None:
                log.warning("the disk takes it again: %s", self.last_checkpoint())
            self._problem = None
            self._told.clear()
        self._saved_at = time.monotonic()
        self._steps = 0

    def checkpoint_due(self) -> bool:
        if self.checkpoint_steps is not None and self._steps >= self.checkpoint_steps:
            return True
        return time.monotonic() - self._saved_at >= self.checkpoint_seconds

    def not_finite(self, report: Mapping[str, Any]) -> None:
        """Keep a report of a step without a finite loss or gradient, in not_finite.json."""
        try:
            self.folder.write_json(
                "not_finite.json", {**report, "last_checkpoint": self.last_checkpoint()}
            )
        except OSError as error:
            self._warn("not_finite.json", error)

    def last_checkpoint(self) -> str:
        """The last good checkpoint, in words."""
        if self._saved is None:
            return "none"
        epoch, step = self._saved
        where = f"in epoch {epoch} after step {step}" if step else f"after epoch {epoch - 1}"
        return f"{self.folder.checkpoints / 'last.pt'}, {where}"

    def close(self) -> None:
        """Make sure at the end of training that everything is on the disk.

        Raises:
            RunnerError: if it is not.
        """
        if self._problem is not None:
            raise RunnerError(
                f"{self.folder.path} does not take the end of this run "
                f"({self._problem.strerror}); the last good checkpoint: {self.last_checkpoint()}. "
                f"Make room, then: runner resume={self.folder.path}"
            )

    def _content(self, state: TrainingState) -> dict[str, Any]:
        return {**self.snapshot(state), "records": self.folder.records()}

    def _warn(self, what: str, error: OSError) -> None:
        reason = f"{what} cannot be written ({error.strerror or error})"
        if reason not in self._told:
            self._told.add(reason)
            log.warning(
                "%s; the run goes on and tries again, the last good checkpoint: %s",
                reason,
                self.last_checkpoint(),
            )
