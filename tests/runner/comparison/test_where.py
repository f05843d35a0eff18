"""Filters by any config key."""

from __future__ import annotations

import pytest
from tests.runner.comparison.conftest import write_run

from runner.comparison.collect import collect
from runner.comparison.where import select
from runner.errors import RunnerError


@pytest.fixture
def runs(tmp_path):
    for seed, (model, epochs, rate) in enumerate(
        [("ncn", 10, 0.1), ("ncn", 50, 1e-3), ("ncnc", 100, 1e-3)]
    ):
        settings = {"train.epochs": epochs, "train.lr_encoder": rate, "model.residual": seed > 0}
        write_run(tmp_path, model, seed, 0.5, settings=settings)
    write_run(tmp_path, "cn", 3, 0.5, status="failed", settings={"train": None})
    return collect([tmp_path])


@pytest.mark.parametrize(
    ("conditions", "seeds"),
    [
        (["run.model=ncn"], [0, 1]),
        (["model=ncn"], [0, 1]),
        (["model!=ncn"], [2, 3]),
        (["train.epochs>=50"], [1, 2]),
        (["train.epochs > 50"], [2]),
        (["train.epochs<50"], [0]),
        (["epochs<=50", "model=ncn"], [0, 1]),
        (["train.lr_encoder=1e-3"], [1, 2]),
        (["train.lr_encoder=0.001"], [1, 2]),
        (["model.residual=true"], [1, 2, 3]),
        (["hardware.threads=null"], [0, 1, 2, 3]),
        (["seed!=0"], [1, 2, 3]),
        (["status=failed"], [3]),
        (["status!=failed", "seed>=1"], [1, 2]),
        (["protocol.metrics=[hits@100, mrr]"], [0, 1, 2, 3]),
    ],
)
def test_conditions_select_runs(runs, conditions, seeds):
    for run in runs:
        if run.seed == 3:
            run.settings["model.residual"] = True
    assert sorted(run.seed for run in select(runs, conditions)) == seeds


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("train.epoch=3", "did you mean train.epochs"),
        ("model", "this is no condition; write key=value"),
        ("=3", "this is no condition"),
        ("train.epochs>many", "compares numbers; 'many' is none"),
        ("model=gae", "no run is left; run.model is cn, ncn, ncnc"),
        ("status=lost", "no run is left; status is done, failed"),
        ("train.epochs>1000", "no run is left; train.epochs is 10, 100, 50"),
    ],
)
def test_what_cannot_be_met_is_one_clear_error(runs, condition, message):
    with pytest.raises(RunnerError) as error:
        select(runs, [condition])
    assert str(error.value).startswith(f"--where {condition}: ") and message in str(error.value)


def test_a_truth_value_is_no_number(runs):
    with pytest.raises(RunnerError, match="no run is left"):
        select(runs, ["model.residual=1"])
