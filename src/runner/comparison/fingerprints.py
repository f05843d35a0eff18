"""Runs on different data under one name, told apart by their fingerprints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from runner.comparison.protocols import distinguish_protocols
from runner.comparison.run import Files, Run

_DIGITS = 8


def distinguish_data(runs: Sequence[Run]) -> list[Run]:
    """Name the graph of each run where the runs of a dataset have several, features and split too.

    Its protocol likewise, see `distinguish_protocols`.

    A graph of the user's own has one name, that of its latest run, whatever its runs call it and
    wherever its file lies. Runs from before fingerprints were recorded count by the name of their
    dataset, as long as the others have one graph; on files of the user's own by the place of these.
    """
    at_places = _at_places(runs)
    told = [_told(run, at_places) for run in runs]
    named = _under_one_name(runs, [graph for graph, _ in told])
    graphs = _several((run.dataset, graph) for run, (graph, _) in zip(named, told, strict=True))
    # A graph of the user's own under the name of a dataset of ours.
    graphs |= {run.dataset for run in named if run.files} & {
        run.dataset for run in named if not run.files
    }
    named = [
        replace(run, dataset=f"{run.dataset} ({_words('graph', graph)})")
        if run.dataset in graphs
        else run
        for run, (graph, _) in zip(named, told, strict=True)
    ]
    named = _experiments_apart(named, "features", [of for _, of in told])
    named = _experiments_apart(named, "split", [run.split for run in named])
    return distinguish_protocols(named)


def _experiments_apart(
    runs: Sequence[Run], what: str, fingerprints: Sequence[str | None]
) -> list[Run]:
    pairs = [*zip(runs, fingerprints, strict=True)]
    several = _several(((run.dataset, run.experiment), of) for run, of in pairs)
    return [
        replace(run, experiment=f"{run.experiment} ({_words(what, of)})")
        if (run.dataset, run.experiment) in several
        else run
        for run, of in pairs
    ]


Told = tuple[str | None, str | None]  # what tells graph and features


def _at_places(runs: Sequence[Run]) -> dict[Files, set[Told]]:
    """The fingerprints that runs have recorded of the user's files in a place."""
    found: dict[Files, set[Told]] = {}
    for run in runs:
        if run.files is not None and run.graph is not None:
            found.setdefault(run.files, set()).add((run.graph, run.features))
    return found


def _told(run: Run, at_places: Mapping[Files, set[Told]]) -> Told:
    never_read = run.files is not None and run.files.nodes is None
    if run.files is None or never_read or run.graph is not None:
        return run.graph, run.features
    known = at_places.get(run.files, set())
    return min(known) if len(known) == 1 else (f"in {run.files.path}", f"in {run.files.features}")


def _under_one_name(runs: Sequence[Run], graphs: Sequence[str | None]) -> list[Run]:
    pairs = [*zip(runs, graphs, strict=True)]
    by_age = sorted(pairs, key=lambda pair: str(pair[0].provenance.get("created", "")))
    names = {graph: run.dataset for run, graph in by_age if run.files and graph}
    return [
        replace(
            run,
            dataset=names[graph],
            experiment=f"{names[graph]}-{run.model}-{run.experiment.rpartition('-')[2]}",
        )
        if run.files and graph
        else run
        for run, graph in pairs
    ]


def _several(found: Iterable[tuple[object, str | None]]) -> set[object]:
    values: dict[object, set[str]] = {}
    for name, fingerprint in found:
        if fingerprint is not None:
            values.setdefault(name, set()).add(fingerprint)
    return {name for name, several in values.items() if len(several) > 1}


def _words(what: str, told: str | None) -> str:
    if told is None:
        return f"unknown {what}"
    return f"{what} {told if told.startswith('in ') else told[:_DIGITS]}"
