from __future__ import annotations

import json

import pytest
import yaml
from tests.test_configs import resolved

from runner.experiment.closing_media.config_diff import COLUMNS, config_diff
from runner.storage.seal import read_lines


def rows(*overrides: str, origins: dict[str, str] | None = None) -> dict[str, tuple]:
    found = config_diff(resolved(*overrides), overrides, origins or {})
    assert tuple(found.columns) == COLUMNS
    return {str(key): tuple(rest) for key, *rest in found.rows}


def test_a_run_as_shipped_changes_nothing():
    assert rows() == {}
    machine = ("hardware=cpu", "tracker=none", "dataset.root=/elsewhere")
    assert rows("seed=3", "dataset=cora", *machine) == {
        "dataset": ("cora", "synthetic", "override")
    }


def test_options_and_values_and_what_follows_from_them():
    assert rows("model=ncn", "dataset=cora", "model.dropout=0.25", "encoder.hidden=8") == {
        "model": ("ncn", "ncnc", "override"),
        "dataset": ("cora", "synthetic", "override"),
        "model.dropout": ("0.25", "0.05", "override"),
        "encoder.hidden": ("8", "256", "override"),
        "model.hidden": ("8", "256", "follows from another"),
    }


def test_a_preset_is_told_by_what_it_sets_and_a_tuned_value_by_its_origin():
    found = rows("experiment=no_target_link_removal", origins={"sampler._target_": "config file"})
    assert found["sampler._target_"] == (
        "runner.training.samplers.FullGraph", "runner.training.samplers.TargetLinkRemoval",
        "config file",
    )  # fmt: skip
    untuned = rows("dataset=cora", "hyperparameters=default")
    assert untuned["hyperparameters"] == ("default", "published", "override")
    assert "train.lr_encoder" in untuned


def test_one_generator_of_its_own_is_a_difference():
    assert rows("seed=3", "seeds.split=7")["seeds.split"] == ("7", "3", "override")


def test_a_dataset_that_needs_a_path():
    found = rows("dataset=edges", "dataset.path=graph.csv")
    assert found["dataset.path"][1:] == ("None", "override")


@pytest.mark.command
def test_within_a_run_and_after_a_resume(runner, tmp_path):
    """Hydra knows its configs already in the first, and not in the second."""
    quick = ("dataset=lesmis", "model=gae", "encoder.hidden=8", "train.epochs=1")
    assert runner(*quick, "tracker.mode=offline", "hydra.run.dir=run")[0] == 0
    assert runner(f"resume={tmp_path / 'run'}", "train.epochs=2")[0] == 0
    files = sorted(
        (tmp_path / "run").glob("wandb/offline-run-*/files/media/table/media/config_diff*"),
        key=lambda path: path.stat().st_mtime,
    )
    tables = [json.loads(path.read_text())["data"] for path in files]
    epochs = [dict((row[0], row[1:]) for row in table)["train.epochs"] for table in tables]
    assert epochs == [["1", "100", "override"], ["2", "100", "override"]]
    typed = yaml.safe_load(read_lines((tmp_path / "run" / "overrides.yaml").read_text()))
    assert "train.epochs=1" in typed
