"""`runner.compare`: the table of `runner-compare` in Python."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.comparison.collect import collect
from runner.errors import RunnerError

if TYPE_CHECKING:
    from pandas import DataFrame

log = logging.getLogger(__name__)

Folder = str | os.PathLike[str]


def compare(
    folders: Folder | Sequence[Folder],
    *,
    where: str | Sequence[str] = (),
    group_by: str | Sequence[str] | None = None,
    metric: str | None = None,
    published_only: bool = False,
) -> DataFrame:
    """The table of `runner-compare`: mean and spread over seeds, beside the published figures.

    Runs that are not in the means (failed, unfinished, repeated with the same seeds) and rows that
    mix settings are logged as warnings.

    Args:
        folders: run folders, or folders above them.
        where: only runs whose config says so, as in `"model=ncn"` or `"train.epochs>=50"`.
        group_by: a row for each value of these config keys, instead of for each experiment.
        metric: the metric to compare; None is the selection metric of each run.
        published_only: without the runs that have a published figure and another setting, or other
            data.

    Returns:
        A row for each experiment, with the columns that `runner-compare --csv` writes: metrics in
        %, standard deviations with ddof 1, `p` of Welch's test against the published figure.

    Raises:
        RunnerError: if a folder does not exist, a key or metric is unknown, or no run is finished.
    """
    read = collect([Path(folder).expanduser() for folder in _listed(folders)])

    from runner.comparison.fingerprints import distinguish_data
    from runner.comparison.groups import group
    from runner.comparison.published import only_as_published
    from runner.comparison.table import table
    from runner.comparison.terminal import left_out
    from runner.comparison.where import select

    runs = distinguish_data(select(read, _listed(where)))
    if published_only:
        runs = only_as_published(runs)
    keys = None if group_by is None else _listed(group_by)
    groups = group(runs, keys=keys, metric=metric)
    rows = table(groups)
    for line in left_out(runs, groups):
        log.warning("%s", line)
    if rows.empty:
        raise RunnerError("none of the runs is finished")
    return rows


def _listed(given: Folder | Sequence[Folder]) -> list:
    return [given] if isinstance(given, str | os.PathLike) else list(given)
