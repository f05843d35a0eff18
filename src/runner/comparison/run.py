"""One run, as read from its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """The results of a finished run, at its best epoch.

    Attributes:
        select: the metric that chose the epoch, on validation.
        valid, test: every metric, in [0, 1].
        published: figures of the same model on the same data, by metric: `mean` and `std` in %,
            `std` possibly None, and whether it is `unverified`.
        differs: in what the run is not the published one, as `config.setting` says it; empty of a
            run without a published figure.
        seconds: time of the whole run.
        peak_memory_gib: None if it was not recorded.
        audits: of the scores, by name; empty of a run without.
        selection: how often the test was looked at, and the mean of the last evaluations.
    """

    select: str
    valid: Mapping[str, float]
    test: Mapping[str, float]
    published: Mapping[str, Mapping[str, Any]]
    differs: Sequence[Mapping[str, Any]]
    seconds: float
    peak_memory_gib: float | None
    epochs: int | None
    best_epoch: int | None
    audits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    selection: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Files:
    """Where the files of a user's own graph lie, and the sizes that a run recorded of it.

    Runs from before fingerprints are told by them.
    """

    path: str
    features: str | None
    nodes: int | None
    training_links: int | None


@dataclass(frozen=True)
class Run:
    """A run, or a job of a sweep that never got a folder.

    Attributes:
        name: its name in tables: its folder, as on the command line.
        folder: None for a job without a folder.
        status: done, failed, interrupted, running, killed (recorded as running, but no process
            holds its lock), pruned, pending, missing (the ledger's folder does not exist),
            unreadable, or other setting (`--published-only`).
        problem: the reason that it is not done, or its unreadable records.
        experiment: the same for runs that differ only in their seeds.
        seeds: seed of every source of random numbers, as JSON.
        graph: fingerprint of the graph before its split; None of a run from before it was recorded.
        features: fingerprint of the features, likewise.
        split: fingerprint of what the files say of the split; None where it is drawn.
        protocol: how it is judged; "" of a job that never composed its config.
        files: of a run on the user's own graph, else None.
        settings: the config with the changes by its resumes, flat: `train.epochs` -> 100.
        provenance: other possible reasons for a difference: revision, versions, machine.
        result: result of a finished run, else None.
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
    graph: str | None = None
    features: str | None = None
    split: str | None = None
    protocol: str = ""
    files: Files | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    result: Result | None = None
