"""The published figure beside a row, and in what the row's runs differ from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.comparison.groups import Group
from runner.comparison.run import Run
from runner.terminal.tables import differences_in_words

OTHER_SETTING = "other setting"  # status of a finished run that is left out for it


def published_figure(group: Group) -> Mapping[str, Any] | None:
    """The published figure of a group, if all runs have the same, for the compared metric."""
    figures = [run.result.published.get(group.metric) for run in group.runs if run.result]
    return figures[0] if all(figure == figures[0] for figure in figures) else None


def differing(group: Group) -> list[Mapping[str, Any]]:
    """What differs between the runs of a group and the published figure beside it, each once."""
    if published_figure(group) is None:
        return []
    found: list[Mapping[str, Any]] = []
    for run in group.runs:
        found += [row for row in (run.result.differs if run.result else ()) if row not in found]
    return found


def only_as_published(runs: Sequence[Run]) -> list[Run]:
    """The runs, without the result where it differs from the published figure's setting."""
    return [_without_result(run) if _differs(run) else run for run in runs]


def _differs(run: Run) -> bool:
    return run.result is not None and bool(run.result.published and run.result.differs)


def _without_result(run: Run) -> Run:
    assert run.result is not None
    why = differences_in_words(run.result.differs)
    return replace(run, status=OTHER_SETTING, problem=why, result=None)
