"""The work of the processes of a run other than process 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runner.config.schema import RunConfig
from runner.experiment.parts import assemble
from runner.experiment.warm_start import begin_encoder
from runner.machine import startup
from runner.training.loop import fit
from runner.training.ranks import Ranks
from runner.training.state import TrainingState


def compute(
    *, config: Mapping[str, Any], folder: str, checkpoint: Mapping[str, Any] | None, ranks: Ranks
) -> None:
    """Take part in the run of `folder`, from the same state as process 0."""
    read, place = RunConfig.read(config), Path(folder)
    parts = assemble(read, place, ranks)
    if checkpoint is None:
        begin_encoder(parts.training.model, read, place, parts.data)
    state = TrainingState() if checkpoint is None else parts.restore(checkpoint)
    startup.end()
    fit(parts.training, state, Silent(), ranks)


class Silent:
    """A recorder that records nothing: process 0 does."""

    @property
    def stop_requested(self) -> Callable[[], bool]:
        return lambda: False

    def step(self, state: TrainingState, steps: int, loss: float) -> None: ...

    def epoch(self, row: dict[str, float], state: TrainingState, improved: bool) -> None: ...

    def checkpoint(self, state: TrainingState) -> None: ...

    def checkpoint_due(self) -> bool:
        return False

    def not_finite(self, report: Mapping[str, Any]) -> None: ...

    def last_checkpoint(self) -> str:
        return "process 0 has it"
