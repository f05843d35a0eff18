"""Runs on different data under one name, told apart by their fingerprints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from runner.compare.run import Run

_DIGITS = 8


def distinguish_data(runs: Sequence[Run]) -> list[Run]:
    """Name the graph of each run where the runs of a dataset have several, and its features.

    Runs from before fingerprints were recorded count by the name of their dataset, as long as the
    others have one graph.
    """
    graphs = _several((run.dataset, run.graph) for run in runs)
    named = [
        replace(run, dataset=f"{run.dataset} ({_words('graph', run.graph)})")
        if run.dataset in graphs
        else run
        for run in runs
    ]
    features = _several(((run.dataset, run.experiment), run.features) for run in named)
    return [
        replace(run, experiment=f"{run.experiment} ({_words('features', run.features)})")
        if (run.dataset, run.experiment) in features
        else run
        for run in named
    ]


def _several(found: Iterable[tuple[object, str | None]]) -> set[object]:
    values: dict[object, set[str]] = {}
    for name, fingerprint in found:
        if fingerprint is not None:
            values.setdefault(name, set()).add(fingerprint)
    return {name for name, several in values.items() if len(several) > 1}


def _words(what: str, fingerprint: str | None) -> str:
    return f"{what} {fingerprint[:_DIGITS]}" if fingerprint else f"unknown {what}"
