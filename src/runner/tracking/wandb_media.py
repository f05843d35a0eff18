"""Media as objects of W&B."""

from __future__ import annotations

from typing import Any

from runner.tracking.media import Histogram, Lines, Medium, Table


def render(medium: Medium, run: Any, key: str, step: int) -> Any:
    """The object that the W&B run `run` logs as `key` at `step`."""
    import numpy
    import wandb

    if isinstance(medium, Histogram):
        return wandb.Histogram(
            np_histogram=(numpy.asarray(medium.counts), numpy.asarray(medium.edges))
        )
    if isinstance(medium, Table):
        rows = [list(row) for row in medium.rows]
        table = wandb.Table(columns=list(medium.columns), data=rows)
        return _bind_table(table, run, key, step)
    assert isinstance(medium, Lines)
    chart = wandb.plot.line_series(
        xs=list(medium.x),
        ys=[list(values) for values in medium.lines.values()],
        keys=list(medium.lines),
        title=medium.title,
        xname=medium.x_name,
    )
    _bind_table(chart.table, run, f"{key}_table", step)
    return chart


def _bind_table(table: Any, run: Any, key: str, step: int) -> Any:
    """Bind a table to its run, so that W&B saves it as a file.

    Otherwise W&B would also make it an artifact, and wait for the server.
    """
    table.bind_to_run(run, key, step)
    return table
