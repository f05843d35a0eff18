"""One run as its records tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """What a finished run measured, at its best epoch.

    Attributes:
        select: the metric that chose the epoch, on validation.
        valid, test: every metric, in [0, 1].
        published: of the same model on the same data, or None: `metric`, `mean` and `std` in %,
            `std` possibly None.
        seconds: of the whole run.
        peak_memory_gib: None where it was not recorded.
    """

    select: str
    valid: Mapping[str, float]
    test: Mapping[str, float]
    published: Mapping[str, Any] | None
    seconds: float
    peak_memory_gib: float | None
    epochs: int | None
    best_epoch: int | None


@dataclass(frozen=True)
class Run:
    """A run, or a job of a sweep that never got a folder.

    Attributes:
        name: what it is called in tables: its folder, as short as the command line allows.
        folder: None for a job without.
        status: done, failed, interrupted, running, killed (it says running, and no process is at
            it), pruned, pending, missing (the ledger's folder is not there) or unreadable.
        problem: why it is not done, or what of its records cannot be read.
        experiment: runs that differ in nothing but their seeds have the same.
        seeds: of every source of chance, as JSON.
        settings: the config with what its resumes have changed, flat: `train.epochs` -> 100.
        provenance: what else may explain a difference: revision, versions, machine.
        result: of a run that is done, else None.
    """

    name: str
    folder: Path | None
    status: str
    problem: str | None = None
    dataset: str = ""
    model: str = ""
    experiment: str = ""
    seed: int | None = None
    seeds: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    result: Result | None = None
