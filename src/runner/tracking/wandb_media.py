"""Media as W&B has them."""

from __future__ import annotations

from typing import Any

from runner.tracking.media import Histogram, Lines, Medium, Table


def render(medium: Medium, run: Any, key: str, step: int) -> Any:
    """What W&B's run `run` logs as `key` at `step`."""
    import numpy
    import wandb

    if isinstance(medium, Histogram):
        return wandb.Histogram(
            np_histogram=(numpy.asarray(medium.counts), numpy.asarray(medium.edges))
        )
    if isinstance(medium, Table):
        rows = [list(row) for row in medium.rows]
        table = wandb.Table(columns=list(medium.columns), data=rows)
        return _as_a_file(table, run, key, step)
    assert isinstance(medium, Lines)
    chart = wandb.plot.line_series(
        xs=list(medium.x),
        ys=[list(values) for values in medium.lines.values()],
        keys=list(medium.lines),
        title=medium.title,
        xname=medium.x_name,
    )
    _as_a_file(chart.table, run, f"{key}_table", step)
    return chart


def _as_a_file(table: Any, run: Any, key: str, step: int) -> Any:
    """Bound to its run, a table is one of its files.

    W&B itself would make it an artifact too, and ask the server about that while we wait.
    """
    table.bind_to_run(run, key, step)
    return table
