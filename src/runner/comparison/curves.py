"""Learning curves of a group: mean and spread over its runs, epoch by epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.comparison.groups import Group

_POINTS = 250
_MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Curve:
    """Arrays of the same length, one value for each epoch (thinned if there are many).

    Attributes:
        mean: mean over the runs that have the epoch.
        std: standard deviation over them, ddof 1; NaN for a single run.
        runs: number of runs that have the epoch.
    """

    epochs: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    runs: np.ndarray


def curves(group: Group, names: Sequence[str]) -> dict[str, Curve]:
    """The curves of a group by name (`loss`, `valid/mrr`, …), metrics in %; no empty ones."""
    tables = [_read(run.folder, names) for run in group.runs if run.folder]
    last = max((epoch for of in tables for epoch in of), default=0)
    found = {}
    for name in names:
        values = np.full((len(tables), last), np.nan)
        for row, of in enumerate(tables):
            for epoch, metrics in of.items():
                values[row, epoch - 1] = metrics.get(name, np.nan)
        if name.startswith(("valid/", "test/")):
            values *= 100
        runs = np.sum(np.isfinite(values), axis=0)
        here = np.flatnonzero(runs)
        if here.size:
            here = here[_thinned(here.size)]
            found[name] = _curve(values[:, here], here + 1)
    return found


def _curve(values: np.ndarray, epochs: np.ndarray) -> Curve:
    finite = np.isfinite(values)
    runs = finite.sum(axis=0)
    mean = np.where(finite, values, 0).sum(axis=0) / runs
    squares = np.where(finite, values - mean, 0) ** 2
    std = np.sqrt(squares.sum(axis=0) / np.where(runs > 1, runs - 1, np.nan))
    return Curve(epochs=epochs, mean=mean, std=std, runs=runs)


def _thinned(size: int) -> np.ndarray:
    if size <= _POINTS:
        return np.arange(size)
    return np.unique(np.linspace(0, size - 1, _POINTS).round().astype(int))


def _read(folder: Path, names: Sequence[str]) -> dict[int, dict[str, float]]:
    """The lines of metrics.jsonl by epoch; torn or foreign lines are left out."""
    try:
        lines = (folder / "metrics.jsonl").read_bytes().splitlines()
    except OSError:
        return {}
    found: dict[int, dict[str, float]] = {}
    for line in lines:
        try:
            row: Mapping[str, Any] = json.loads(line)
            epoch = row["epoch"]
            if isinstance(epoch, int) and 1 <= epoch <= _MOST_EPOCHS:
                present = (name for name in names if row.get(name) is not None)
                found[epoch] = {name: float(row[name]) for name in present}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found
