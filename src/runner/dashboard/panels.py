"""The panels of workspace and report: named sections, in their order.

A band or whisker is the standard deviation over the runs of a W&B group: an experiment, whose runs
differ in nothing but their seeds. A group's name says dataset, model and a digest of the setting.
"""

from __future__ import annotations

from typing import Any

import wandb_workspaces.reports.v2 as wr
from wandb_workspaces import expr

from runner.dashboard.runs import Runs

_OVER_SEEDS: dict[str, Any] = {
    "groupby": "Group",
    "groupby_aggfunc": "mean",
    "groupby_rangefunc": "stddev",
}


def sections() -> dict[str, list[Any]]:
    """The panels of each section, by its name."""
    return {
        "Results": [
            _bars("Test, at the best epoch on validation", "selected/test"),
            _bars("Validation, at its best epoch", "selected/valid"),
        ],
        "Curves by model": [
            _curve("Validation", "selected/valid"),
            _curve("Test", "selected/test"),
            _curve("Loss", "loss"),
            _curve("Gradient norm", "gradient_norm"),
        ],
        "Parameter importance": [
            wr.ParameterImportancePlot(with_respect_to="selected/valid"),
            wr.RunComparer(diff_only="split"),
        ],
        "Speed and memory": [
            _curve("Seconds an epoch", "seconds"),
            _curve("Peak memory so far, GiB", "memory_gib"),
            _bars("Seconds in all", "seconds"),
            _bars("Peak memory, GiB", "peak_memory_gib"),
        ],
        "Test pairs and distributions": _of_summaries(
            "media/hardest_test_pairs",
            "media/completion_probabilities_of_links",
            "media/completion_probabilities_of_negatives",
            "media/config_diff",
        ),
    }


def _curve(title: str, metric: str) -> Any:
    return wr.LinePlot(title=title, x="epoch", y=[metric], **_OVER_SEEDS)


def _bars(title: str, metric: str) -> Any:
    return wr.BarPlot(title=title, metrics=[wr.SummaryMetric(metric)], **_OVER_SEEDS)


def _of_summaries(*keys: str) -> list[Any]:
    return [wr.WeavePanelSummaryTable(table_name=key) for key in keys]


def filters(runs: Runs) -> Any:
    """What keeps other runs out."""
    equal = [expr.Config(key) == value for key, value in runs.wanted.items()]
    return expr.And(*equal) if equal else ""
