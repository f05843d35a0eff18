"""A W&B workspace of runs, as code."""

from __future__ import annotations

from typing import Any

import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

from runner.dashboard.panels import filters, sections
from runner.dashboard.runs import COLUMNS, Runs


def workspace(runs: Runs) -> Any:
    """A new view of the project; built here, and saved by its `save()`, which needs a login."""
    return ws.Workspace(
        entity=runs.entity,
        project=runs.project,
        name=runs.title,
        sections=[
            ws.Section(name=name, panels=panels, is_open=True)
            for name, panels in sections().items()
        ],
        settings=ws.WorkspaceSettings(x_axis="epoch", max_runs=50),
        runset_settings=ws.RunsetSettings(
            groupby=[
                expr.Config("run/dataset"),
                expr.Config("run/model"),
                expr.Metric("Group"),
            ],
            filters=filters(runs),
            pinned_columns=list(COLUMNS),
        ),
    )
