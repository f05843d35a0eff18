"""Presets as W&B Sweeps: what W&B's agent makes of them is what `runner` takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import run_folders
from tests.runner.tracking.test_wandb import leet, runs_in
from tests.test_configs import CONF, resolved
from wandb.sdk.launch.sweeps import utils as agent

from runner.dashboard.sweep_file import sweep_file
from runner.errors import RunnerError

PRESETS = sorted(path.stem for path in (CONF / "sweep").glob("*.yaml"))


def content(preset: str, *overrides: str, **options) -> dict[str, Any]:
    """As W&B reads the file."""
    return yaml.safe_load(sweep_file(preset, overrides, **options).text())


def sample(parameter: dict[str, Any], *, last: bool) -> Any:
    """What a sweep could try: the first value or the last one, an end or the middle."""
    if "values" in parameter:
        return parameter["values"][-1 if last else 0]
    low, high = parameter["min"], parameter["max"]
    whole = parameter["distribution"] in ("int_uniform", "q_log_uniform_values")
    middle = (low + high) // 2 if whole else (low + high) / 2
    return middle if last else low


def command(made: dict[str, Any], *, last: bool = False) -> list[str]:
    """The command line, by the agent's own code."""
    chosen = {k: {"value": sample(p, last=last)} for k, p in made["parameters"].items()}
    given = agent.create_sweep_command_args({"args": chosen})
    parts = agent.create_sweep_command(made["command"])
    return [
        line for part in parts for line in (given[part[2:-1]] if part.startswith("${") else [part])
    ]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_gives_command_lines_that_compose(preset):
    made = content(preset, "dataset=cora") if preset != "paper" else content(preset)
    for last in (False, True):
        name, *overrides = command(made, last=last)
        assert name == made["program"] == "runner"
        own = ("sweep=", "search=", "hydra", "-")
        assert not [line for line in overrides if line.startswith(own)]
        config = resolved(*overrides)
        for key in ("seed", "model.completion.t", "train.lr_encoder"):
            if key in made["parameters"]:
                value: Any = config
                for part in key.split("."):
                    value = value[part]
                assert value == sample(made["parameters"][key], last=last)


def test_a_grid():
    made = content("completion", "model=ncnc", "dataset=cora", "seed=range(3)")
    assert made["method"] == "grid"
    assert made["metric"] == {"name": "valid/hits@100", "goal": "maximize"}
    assert made["parameters"]["model.completion.t"] == {"values": [0.25, 0.5, 0.75]}
    assert made["parameters"]["seed"] == {"values": [0, 1, 2]}
    assert made["command"] == ["runner", "model=ncnc", "dataset=cora", "${args_no_hyphens}"]
    assert "run_cap" not in made


def test_a_search():
    made = content("search-ncnc", "dataset=citeseer", "train.epochs=int(interval(5,50))")
    assert (made["method"], made["run_cap"]) == ("bayes", 30)
    assert made["parameters"]["train.lr_encoder"] == {
        "distribution": "log_uniform_values", "min": 0.001, "max": 0.02,
    }  # fmt: skip
    assert made["parameters"]["model.dropout"] == {
        "distribution": "uniform", "min": 0.0, "max": 0.7,
    }  # fmt: skip
    assert made["parameters"]["train.epochs"] == {
        "distribution": "int_uniform", "min": 5, "max": 50,
    }  # fmt: skip
    logarithmic = content("search-ncnc", "train.epochs=tag(log,int(interval(5,50)))")
    assert logarithmic["parameters"]["train.epochs"]["distribution"] == "q_log_uniform_values"
    few = content("search-ncnc", "search=random", "hydra.sweeper.search.trials=7")
    assert (few["method"], few["run_cap"]) == ("random", 7)
    assert content("search-ncnc", method="random")["method"] == "random"


def test_what_the_preset_sets_is_in_the_command_and_what_it_cannot_be_is_noted():
    made = sweep_file("paper", [])
    assert "train.init_from=auto" in made.content["command"]
    assert any("too early" in note for note in made.notes)
    assert all(line.startswith("#") for line in made.text().splitlines()[: len(made.notes)])


def test_the_metric():
    assert content("seeds", "dataset=cora")["metric"]["name"] == "valid/hits@100"
    assert content("paper-small")["metric"]["name"] == "valid/hits@100"
    by_size = sweep_file("seeds", ["dataset=lesmis"])
    assert by_size.content["metric"]["name"] == "selected/valid"
    assert any("--metric" in note for note in by_size.notes)
    assert content("paper")["metric"]["name"] == "selected/valid"
    named = sweep_file("seeds", ["dataset=lesmis"], metric="valid/mrr")
    assert named.content["metric"]["name"] == "valid/mrr" and len(named.notes) == 1
    assert "project" not in content("seeds", "tracker=none")


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (["completion"], {"metric": "test/mrr"}, "--metric=test/mrr"),
        (["seeds", "seed=3"], {}, "nothing has several values"),
        (["search-ncnc"], {"method": "grid"}, r"train.lr_encoder=tag\(log"),
        (["seeds", "train.lr_encoder=interval(0.1,0.2)"], {}, "--method=random"),
        (["search-ncnc", "model.dropout=interval(0.5,0.1)"], {}, "upwards"),
        (["search-ncnc", "model.dropout=tag(log,interval(0.0,0.1))"], {}, "above 0"),
        (["seeds", "model=ncn,ncnc", "hydra.sweeper.paired=[[seed,model]]"], {}, "paired"),
    ],
)
def test_what_a_sweep_cannot_be_is_named(arguments, options, said):
    with pytest.raises(RunnerError, match=said):
        sweep_file(arguments[0], arguments[1:], **options)


@pytest.mark.command
def test_a_run_as_an_agent_starts_it(tmp_path):
    made = content("completion", "dataset=lesmis", "encoder.hidden=8", "train.epochs=1")
    _, *line = command(made)
    # The agent decides the run's id, and tells W&B the parameters in a file.
    parameters = {k: {"value": sample(p, last=False)} for k, p in made["parameters"].items()}
    Path("config.yaml").write_text(yaml.safe_dump({"wandb_version": 1, **parameters}))
    done = subprocess.run(
        [sys.executable, "-m", "runner", *line],
        env={
            **os.environ,
            "WANDB_SWEEP_ID": "sweep123",
            "WANDB_RUN_ID": "agents01",
            "WANDB_SWEEP_PARAM_PATH": "config.yaml",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "without it" not in done.stdout
    (folder,) = run_folders(tmp_path)
    (directory,) = runs_in(folder)
    assert directory.name.endswith("-agents01")
    end = json.loads(leet("--summary", "--json", str(directory)))
    # As the agent names it, and as every run's columns do.
    assert end["config"]["model.completion.t"] == end["config"]["model/completion/t"] == 0.25
    assert end["summary"][made["metric"]["name"]] > 0
