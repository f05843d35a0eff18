"""A W&B report of runs, as code."""

from __future__ import annotations

from typing import Any

import wandb_workspaces.reports.v2 as wr

from runner.dashboard.panels import filters, sections
from runner.dashboard.runs import COLUMNS, Runs

_HOW_TO_READ = (
    "Runs are grouped by dataset, model and experiment; the runs of an experiment differ in "
    "nothing but their seeds. Numbers are means over them, bands and whiskers one standard "
    "deviation. selected/test and selected/valid are the dataset's selection metric (column "
    "select) at the epoch that was best on validation."
)


def report(runs: Runs) -> Any:
    """A new report; built here, and saved by its `save()`, which needs a login."""
    blocks: list[Any] = [wr.P(_HOW_TO_READ), wr.TableOfContents()]
    for name, panels in sections().items():
        blocks += [wr.H1(name), wr.PanelGrid(runsets=[_table(runs)], panels=panels)]
    return wr.Report(
        entity=runs.entity,
        project=runs.project,
        title=runs.title,
        description="Made by runner-wandb report.",
        blocks=blocks,
        width="fluid",
    )


def _table(runs: Runs) -> Any:
    return wr.Runset(
        entity=runs.entity,
        project=runs.project,
        name=runs.title,
        groupby=["config.run/dataset", "config.run/model", "group"],
        filters=filters(runs),
        pinned_columns=["run:displayName"],
        visible_columns=list(COLUMNS),
        column_order=["run:displayName", *COLUMNS],
        lock_columns=True,
    )
