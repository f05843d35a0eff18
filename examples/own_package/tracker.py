"""A tracker that writes a line an epoch."""

from __future__ import annotations

from collections.abc import Mapping

from runner.tracking.tracker import RunInfo, Tracker


class Lines(Tracker):
    """Appends the loss of each epoch to `losses.txt` in the run's folder."""

    def start(self, run: RunInfo) -> None:
        self.file = run.folder / "losses.txt"

    def log(self, row: Mapping[str, float | int], step: int) -> None:
        with self.file.open("a") as file:
            file.write(f"{step} {row.get('loss')}\n")
