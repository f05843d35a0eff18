"""A whole run as W&B sees it, read back from the offline record."""

from __future__ import annotations

import json

import wandb
from tests.conftest import run_folders
from tests.runner.test_tracking import of_type, records, runs_in, steps

QUICK = ("dataset=lesmis", "encoder.hidden=8", "model=ncn", "tracker.mode=offline")


def test_the_offline_record_holds_every_epoch_and_the_best_one(runner, tmp_path):
    code, out, err = runner(*QUICK, "train.epochs=4")
    wandb.teardown()
    assert code == 0, err
    (folder,) = run_folders(tmp_path)
    assert f"wandb sync {folder}/wandb" in out
    (directory,) = runs_in(folder)
    found = records(directory)
    assert steps(found) == [1, 2, 3, 4]
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row, record in zip(logged, of_type("history", found), strict=True):
        # The record of a whole epoch: loss, gradient norm, learning rates, every metric, memory.
        assert row.items() <= record["item"].items()
        assert {"loss", "gradient_norm", "lr/encoder", "lr/predictor", "memory_gib"} <= row.keys()
    summary = json.loads((folder / "summary.json").read_text())
    last = {}
    for record in of_type("summary", found):
        last.update(record["update"])
    for split in ("valid", "test"):
        for metric, value in summary[split].items():
            assert last[f"{split}/{metric}"] == value


def test_a_resumed_run_keeps_its_id_and_counts_on(runner, tmp_path):
    assert runner(*QUICK, "train.epochs=2", "hydra.run.dir=run")[0] == 0
    code, _, err = runner(f"resume={tmp_path / 'run'}", "train.epochs=4")
    wandb.teardown()
    assert code == 0, err
    meta = json.loads((tmp_path / "run" / "meta.json").read_text())
    first, second = runs_in(tmp_path / "run")
    assert steps(records(first)) == [1, 2] and steps(records(second)) == [3, 4]
    for directory in (first, second):
        (started,) = of_type("run", records(directory))
        assert started["run_id"] == meta["run_id"]


def test_jobs_of_a_multirun_are_runs_of_their_own_in_one_group(runner, tmp_path):
    assert runner("-m", "seed=0,1", *QUICK, "train.epochs=1")[0] == 0
    wandb.teardown()
    folders = run_folders(tmp_path / "outputs")
    started = [of_type("run", records(*runs_in(folder)))[0] for folder in folders]
    assert len({run["run_id"] for run in started}) == 2
    assert len({run["run_group"] for run in started}) == 1


def test_a_tracker_that_fails_stops_no_run(runner, tmp_path, monkeypatch):
    def broken(*arguments, **named):
        raise RuntimeError("the server is on fire")

    monkeypatch.setattr(wandb, "init", broken)
    code, out, err = runner(*QUICK, "train.epochs=2")
    assert code == 0, err
    assert "the tracker failed (RuntimeError: the server is on fire)" in out
    (folder,) = run_folders(tmp_path)
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 2
