"""The recorder of the training loop: metrics.jsonl, checkpoints, tracker, progress display."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.config.schema import Train
from runner.errors import RunnerError
from runner.records import checkpoint
from runner.records.folder import RunFolder
from runner.terminal.progress import Progress
from runner.tracking.tracker import Tracker
from runner.training.state import TrainingState

log = logging.getLogger(__name__)

# Takes epoch, name and value of the validation metric; raises `Pruned` to end the run.
Judge = Callable[[int, str, float], None]


@dataclass(frozen=True)
class Watched:
    """The queries of a recorder to the running run.

    Attributes:
        snapshot: the content of a checkpoint now, without the records.
        stop_requested: whether the run must end after the current step.
        peak_memory_gib: the peak memory so far.
        selection: the metric that chooses the best epoch; None without evaluation.
        judge: judges the validation metric of each epoch after it is saved.
    """

    snapshot: Callable[[TrainingState], dict[str, Any]]
    stop_requested: Callable[[], bool]
    peak_memory_gib: Callable[[], float]
    selection: str | None
    judge: Judge | None


class RunRecorder:
    """Writes the records of each epoch, in an order that survives a kill at any point.

    The metrics line comes first, then best.pt, then last.pt: everything up to last.pt has been
    written, and a resume repeats the steps after it. If the disk fails, training continues, and
    the next checkpoint writes the missing records.

    Args:
        outputs: the folder of the run, its tracker and its progress display.
        run: queries to the running run.
        train: the keys that make a checkpoint due inside an epoch, and the number to keep.
        saved: epoch and step of the checkpoint that the run resumes from.
    """

    def __init__(
        self,
        outputs: tuple[RunFolder, Tracker, Progress],
        run: Watched,
        train: Train,
        saved: tuple[int, int] | None = None,
    ) -> None:
        self.folder, self.tracker, self.progress = outputs
        self.run = run
        self.checkpoint_seconds = 60 * train.checkpoint_minutes
        self.checkpoint_steps = train.checkpoint_steps
        self.keep_checkpoints = train.keep_checkpoints
        self._saved = saved
        self._saved_at = time.monotonic()
        self._steps = 0  # since the last checkpoint
        self._unsaved_best: dict[str, Any] | None = None
        self._problem: OSError | None = None
        self._reported: set[str] = set()  # problems since the last good checkpoint

    @property
    def stop_requested(self) -> Callable[[], bool]:
        return self.run.stop_requested

    def step(self, state: TrainingState, steps: int, loss: float) -> None:
        self._steps += 1
        self.progress.step(state.step, steps, loss)

    def epoch(self, row: dict[str, float], state: TrainingState, improved: bool) -> None:
        epoch, select = int(row["epoch"]), self.run.selection
        row = {**row, "memory_gib": self.run.peak_memory_gib()}
        try:
            self.folder.append_metrics(row)
        except OSError as error:
            self._warn("metrics.jsonl", error)
        valid = row.get(f"valid/{select}")
        # The names are the same for every dataset, so that one chart shows all of them.
        splits = ("valid", "test") if valid is not None else ()
        selected = {f"selected/{split}": row[f"{split}/{select}"] for split in splits}
        self.tracker.log({**row, **selected}, step=epoch)
        if improved:
            self._unsaved_best = self._content(state)
        self.checkpoint(state)
        best = state.best["valid"].get(select) if state.best is not None else None
        self.progress.epoch(epoch, row.get("loss"), valid, row["seconds"], best=best)
        if self.run.judge is not None and select is not None and valid is not None:
            self.run.judge(epoch, select, valid)

    def checkpoint(self, state: TrainingState) -> None:
        """Save a checkpoint; if the disk fails, warn."""
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
            # The next steps change the tensors.
            self._unsaved_best = copy.deepcopy(self._unsaved_best)
        else:
            self._saved = (state.epoch, state.step)
            if self._problem is not None:
                log.warning("the disk takes it again: %s", self.last_checkpoint())
            self._problem = None
            self._reported.clear()
        self._saved_at = time.monotonic()
        self._steps = 0

    def checkpoint_due(self) -> bool:
        if self.checkpoint_steps is not None and self._steps >= self.checkpoint_steps:
            return True
        return time.monotonic() - self._saved_at >= self.checkpoint_seconds

    def not_finite(self, report: Mapping[str, Any]) -> None:
        """Write the report of a step without a finite loss or gradient to not_finite.json."""
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
        """Check at the end of training that all records are on the disk.

        Raises:
            RunnerError: if a record is missing.
        """
        if self._problem is not None:
            raise RunnerError(
                f"{self.folder.path} does not take the end of this run "
                f"({self._problem.strerror}); the last good checkpoint: {self.last_checkpoint()}. "
                f"Make room, then: runner resume={self.folder.path}"
            )

    def _content(self, state: TrainingState) -> dict[str, Any]:
        return {**self.run.snapshot(state), "records": self.folder.records()}

    def _warn(self, what: str, error: OSError) -> None:
        reason = f"{what} cannot be written ({error.strerror or error})"
        if reason not in self._reported:
            self._reported.add(reason)
            log.warning(
                "%s; the run goes on and tries again, the last good checkpoint: %s",
                reason,
                self.last_checkpoint(),
            )
