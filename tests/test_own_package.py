"""The package outside the project runs, resumes, sweeps and compares; nothing of ours names it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from runner.comparison.collect import collect
from runner.training import loop

EXAMPLES = Path(__file__).parents[1] / "examples"
SETTING = (
    "--config-dir", str(EXAMPLES / "own_package" / "conf"), "model=degree_aware", "encoder=halves",
    "objective=margin", "evaluator=own_metric", "negatives=by_degree", "dataset=ring",
    "tracker=lines", "hardware.threads=1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def curve(folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if "second" not in k and "gib" not in k} for row in rows]


@pytest.mark.parametrize("encoding", ["full", "local"])
def test_a_run_of_it_that_was_stopped_ends_in_the_same_bits(
    runner, tmp_path, monkeypatch, encoding
):
    setting = (*SETTING, f"encoding={encoding}", "train.epochs=3")
    code, _, err = runner(*setting, "hydra.run.dir=whole")
    assert code == 0, err
    assert len((tmp_path / "whole" / "losses.txt").read_text().splitlines()) == 3
    assert set(json.loads((tmp_path / "whole" / "summary.json").read_text())["test"]) == {
        "hits@10", "own_auc",
    }  # fmt: skip
    original, steps = loop.train_step, iter(range(10**6))

    def stopped(*arguments):
        if next(steps) == 16:  # in the second epoch
            signal.raise_signal(signal.SIGTERM)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", stopped)
        code, _, err = runner(*setting, "hydra.run.dir=cut")
    assert code == 130, err
    code, _, err = runner("resume=cut")
    assert code == 1 and "RUNNER_TRUST=own_package" in err
    monkeypatch.setenv("RUNNER_TRUST", "own_package")
    code, _, err = runner("resume=cut")
    assert code == 0, err
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


def test_it_sweeps_and_compares(runner, tmp_path):
    code, out, err = runner("-m", *SETTING, "seed=0,1", "train.epochs=1", "hydra.sweep.dir=sweep")
    assert code == 0 and "2 done" in out, out + err
    runs = [run for run in collect([tmp_path / "sweep"]) if run.result]
    assert len(runs) == 2 and len({run.experiment for run in runs}) == 1


def test_nothing_of_ours_names_it():
    source = EXAMPLES.parent / "src"
    assert not [p for p in source.rglob("*.py") if "own_package" in p.read_text()]
