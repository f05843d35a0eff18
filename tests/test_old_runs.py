"""Run folders of bdcf161 resume, keep their experiment, and are repeats of new runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from runner.comparison.groups import group
from runner.comparison.read import read_run
from runner.storage.seal import read_lines

OLD = Path(__file__).parent / "data" / "bdcf161"
RUNS = sorted(path.parent.name for path in OLD.glob("*/meta.json"))


def rows(path: Path) -> list[dict]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if "second" not in k and "gib" not in k} for row in found]


@pytest.mark.parametrize("name", RUNS)
def test_an_old_run_is_resumed_and_is_a_repeat_of_a_new_one(runner, tmp_path, name):
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(OLD / name, old)
    before = json.loads((old / "meta.json").read_text())["experiment"]
    code, _, err = runner(f"resume={old}", f"run.cache={tmp_path / 'cache'}")
    assert code == 0, err
    typed = yaml.safe_load(read_lines((old / "overrides.yaml").read_text()))
    typed = [line for line in typed if not line.startswith("hydra.")]
    code, _, err = runner(*typed, f"hydra.run.dir={new}")
    assert code == 0, err
    whole = rows(OLD / name / "whole.jsonl")
    # To the bit on the processor that they were made on; another one rounds otherwise.
    for found in (rows(old / "metrics.jsonl"), rows(new / "metrics.jsonl")):
        assert [row["epoch"] for row in found] == [1, 2, 3]
        for row, expected in zip(found, whole, strict=True):
            assert row["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    experiments = {
        json.loads((folder / "meta.json").read_text())["experiment"] for folder in (old, new)
    }
    assert experiments == {before}
    runs = [read_run(folder, folder.name) for folder in (old, new)]
    (found,) = group(runs)
    assert found.repeated == 1 and not found.mixed


@pytest.mark.parametrize("name", RUNS)
def test_auto_finds_an_old_run(runner, tmp_path, name):
    shutil.copytree(OLD / name, tmp_path / "runs" / "old")
    typed = yaml.safe_load(read_lines((OLD / name / "overrides.yaml").read_text()))
    typed = [line for line in typed if not line.startswith("hydra.")]
    places = f"hydra.run.dir={tmp_path / 'runs' / 'new'}", f"run.cache={tmp_path / 'cache'}"
    code, out, err = runner("resume=auto", *typed, *places)
    assert code == 0 and f"goes on with {tmp_path / 'runs' / 'old'}" in out, out + err


def test_an_old_search_is_resumed_with_the_proposals_it_would_have_had(runner, tmp_path):
    """Its first three jobs are done; their results, on another processor, are the ledger's."""
    sweep = tmp_path / "sweep"
    shutil.copytree(OLD / "sweep", sweep)
    code, out, err = runner("-m", f"resume={sweep}")
    assert code == 0, out + err
    found = [json.loads(line) for line in (sweep / "ledger.jsonl").read_text().splitlines()]
    whole = [json.loads(line) for line in (sweep / "whole.jsonl").read_text().splitlines()]
    assert [job["state"] for job in found] == ["done"] * 6
    for job, expected in zip(found, whole, strict=True):
        assert job["parameters"] == expected["parameters"]
        assert job["result"]["valid"] == pytest.approx(expected["valid"], abs=0.1)
