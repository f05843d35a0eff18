"""Workspace and report, built offline as W&B gets them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("wandb_workspaces", reason="pip install 'link-runner[workspaces]'")
import wandb_workspaces.reports.v2 as wr

from runner.dashboard.panels import sections
from runner.dashboard.report import report
from runner.dashboard.runs import Runs
from runner.dashboard.workspace import workspace

# A report of an entity would look its project up.
RUNS = Runs("", "runner", dataset="cora", sweep="spring")
MEDIA = (
    "media/hardest_test_pairs",
    "media/completion_probabilities_of_links",
    "media/completion_probabilities_of_negatives",
    "media/config_diff",
)


def spec(made: Any) -> dict[str, Any]:
    return made._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]


def panels_in(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        here = [node] if "viewType" in node else []
        return here + [panel for value in node.values() for panel in panels_in(value)]
    if isinstance(node, list):
        return [panel for value in node for panel in panels_in(value)]
    return []


def test_every_curve_and_bar_is_a_mean_with_the_deviation_over_the_seeds_of_an_experiment():
    plots = [p for ps in sections().values() for p in ps if isinstance(p, wr.LinePlot | wr.BarPlot)]
    assert len(plots) >= 8
    for plot in plots:
        assert (plot.groupby, plot.groupby_aggfunc, plot.groupby_rangefunc) == (
            "Group", "mean", "stddev",
        )  # fmt: skip
        if isinstance(plot, wr.LinePlot):
            assert plot.x == "epoch"


@pytest.mark.parametrize("make", [workspace, report])
def test_both_show_results_curves_importance_speed_memory_and_media(make):
    found = panels_in(spec(make(RUNS)))
    configs = [(panel["viewType"], panel["config"]) for panel in found]
    curves = {c["metrics"][0]: c for kind, c in configs if kind == "Run History Line Plot"}
    assert {"selected/valid", "selected/test", "loss", "seconds", "memory_gib"} <= curves.keys()
    for curve in curves.values():
        # The run's own attribute: "Group.value" would be a key of the config.
        assert (curve["groupBy"], curve["groupArea"]) == ("group", "stddev")
    bars = {c["metrics"][0] for kind, c in configs if kind == "Bar Chart"}
    assert {"summary_metrics.selected/test", "summary_metrics.seconds"} <= bars
    assert "summary_metrics.peak_memory_gib" in bars
    (importance,) = [c for kind, c in configs if kind == "Parameter Importance"]
    assert importance["targetKey"] == "selected/valid"
    shown = str([c for kind, c in configs if kind == "Weave"])
    assert all(f"'{key}'" in shown for key in MEDIA)


def test_the_workspace_groups_by_experiment_and_shows_these_runs_alone():
    (runset,) = spec(workspace(RUNS))["section"]["runSets"]
    assert [key["name"] for key in runset["grouping"]] == [
        "run/dataset.value", "run/model.value", "group",
    ]  # fmt: skip
    assert {f["key"]["name"]: f["value"] for f in runset["filters"]["filters"]} == {
        "run/dataset": "cora", "sweep/name": "spring",
    }  # fmt: skip
    assert "summary:selected/test" in runset["runFeed"]["columnPinned"]
    (every,) = spec(workspace(Runs("team", "runner")))["section"]["runSets"]
    assert not every["filters"]["filters"]


def test_the_report_has_a_table_of_results():
    blocks = spec(report(RUNS))["blocks"]
    grids = [block for block in blocks if block["type"] == "panel-grid"]
    assert len(grids) == len(sections())
    (runset,) = grids[0]["metadata"]["runSets"]
    assert [key["name"] for key in runset["grouping"]] == [
        "run/dataset.value", "run/model.value", "group",
    ]  # fmt: skip
    assert runset["runFeed"]["columnVisible"]["summary:selected/test"]
