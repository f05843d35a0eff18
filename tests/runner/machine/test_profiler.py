from __future__ import annotations

import json

import pandas as pd
import pytest
from tests.conftest import run_folders

from runner.machine.profiler import StageProfile
from runner.ops.stage import observed, stage


def test_nested_stages_by_hand():
    peaks = iter([1.0, 1.0, 1.5, 2.0, 2.0, 2.0])
    profile = StageProfile(lambda: next(peaks))
    with stage("unobserved"):
        pass
    with observed(profile):
        with stage("step"), stage("encoder"):
            pass
        with pytest.raises(ZeroDivisionError), stage("step"):
            1 / 0  # noqa: B018
    assert {name: cost.calls for name, cost in profile.costs.items()} == {
        "step": 2,
        "step / encoder": 1,
    }
    assert profile.costs["step"].raised_peak_gib == 1.0
    assert profile.costs["step / encoder"].raised_peak_gib == 0.5
    table = profile.table().set_index("stage")
    assert table.loc["step", "share"] == 1
    assert table.loc["step / encoder", "share"] <= 1


def test_a_profiled_run(runner, tmp_path):
    code, out, _ = runner(
        "dataset=lesmis", "model=ncnc", "train.epochs=2", "tracker=none", "hardware.profile=true"
    )
    assert code == 0
    assert "profile.csv" in out
    (folder,) = run_folders(tmp_path)
    table = pd.read_csv(folder / "profile.csv").set_index("stage")
    stages = ["encoder", "predictor", "backward", "optimiser"]
    steps = table.loc["backward", "calls"]
    assert steps >= 2
    assert (table.loc[stages, "calls"] == steps).all()
    assert table.loc["evaluation", "calls"] == 4
    assert "predictor / completion" in table.index
    outermost = table[~table.index.str.contains("/")]
    assert outermost["share"].sum() == pytest.approx(1, abs=1e-3)
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert {"backward", "optimiser"} <= {event.get("name") for event in events}


def test_without_profile_there_is_none(runner, tmp_path):
    assert runner("dataset=lesmis", "model=gae", "train.epochs=1", "tracker=none")[0] == 0
    (folder,) = run_folders(tmp_path)
    assert not (folder / "profile.csv").exists()
    assert not (folder / "trace.json").exists()
