"""Several processes compute the run that one would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.runner.experiment.test_resume import (
    SETTING,
    assert_same_weights,
    curve,
    kill_after,
    scores,
)
from torch import nn

from runner.cli import main as cli
from runner.errors import RunnerError
from runner.experiment import processes
from runner.experiment.checks import check_processes
from runner.models.buddy import BUDDY
from runner.models.inner_product import InnerProduct
from runner.models.link_model import LinkModel
from runner.training.ranks import Ranks

WITHOUT_CHANCE = (
    "dataset=lesmis", "tracker=none", "encoder.hidden=8", "train.batch_size=16",
    "train.eval_batch_size=7", "model.dropout=0", "model.edge_dropout=0",
    *(f"encoder.{kind}_dropout=0" for kind in ("input", "hidden", "output", "edge")),
)  # fmt: skip
TWO = ("hardware=ddp", "hardware.device=cpu", "hardware.processes=2")


def rows(folder: Path | str) -> list[dict]:
    return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]


@pytest.mark.command
@pytest.mark.parametrize(
    ("model", "count"), [("ncn", 2), pytest.param("ncnc", 3, marks=pytest.mark.soak)]
)
def test_the_curve_is_that_of_one_process(runner, model, count):
    for number in (1, count):
        code, _, err = runner(
            f"model={model}", *WITHOUT_CHANCE, *TWO, f"hardware.processes={number}",
            "train.epochs=2", f"hydra.run.dir={number}",
        )  # fmt: skip
        assert code == 0, err
    for alone, together in zip(rows("1"), rows(str(count)), strict=True):
        for key in ("loss", "gradient_norm"):
            assert together[key] == pytest.approx(alone[key], rel=1e-4)
    assert json.loads(Path(str(count), "meta.json").read_text())["processes"] == count
    assert not list(Path("/dev/shm").glob(f"runner-{os.getpid()}-*"))


@pytest.mark.command
def test_evaluation_is_that_of_one_process_to_the_last_bit(runner):
    for number in (1, 2):
        code, _, err = runner(
            "model=ncnc", *WITHOUT_CHANCE, *TWO, f"hardware.processes={number}",
            "train.epochs=0", f"hydra.run.dir={number}",
        )  # fmt: skip
        assert code == 0, err
    assert scores(Path("1")) == scores(Path("2"))


@pytest.mark.parametrize("model", ["ncn", "ncnc2"])
def test_bfloat16_runs_and_is_another_experiment(runner, model):
    ids = []
    for precision in ("float32", "bfloat16"):
        code, _, err = runner(
            f"model={model}", *WITHOUT_CHANCE, "train.epochs=1", f"train.precision={precision}",
            f"hydra.run.dir={precision}",
        )  # fmt: skip
        assert code == 0, err
        ids.append(json.loads(Path(precision, "meta.json").read_text())["experiment"])
    assert ids[0] != ids[1]


@pytest.mark.command
def test_a_stopped_run_ends_in_the_same_bits_and_so_does_torchrun_and_any_number_may_go_on(
    runner, monkeypatch
):
    code, _, err = runner(*SETTING, *TWO, "train.epochs=2", "hydra.run.dir=whole")
    assert code == 0, err
    with monkeypatch.context() as patch:
        kill_after(patch, 13)
        code, _, _ = runner(
            *SETTING, *TWO, "train.epochs=2", "train.checkpoint_steps=2", "hydra.run.dir=stopped"
        )
    assert code == 1
    subprocess.run(["cp", "-r", "stopped", "alone"], check=True)
    code, _, err = runner("resume=stopped")
    assert code == 0, err
    assert curve(Path("whole")) == curve(Path("stopped"))
    assert_same_weights(Path("whole"), Path("stopped"))
    code, _, err = runner("resume=alone", "hardware.processes=1")
    assert code == 0, err
    assert [row["epoch"] for row in rows("alone")] == [1, 2]

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    theirs = [*SETTING, "train.epochs=2", "hardware=cpu", "hydra.run.dir=torchrun"]
    subprocess.run([*torchrun, "-m", "runner", *theirs], check=True, capture_output=True)
    assert curve(Path("whole")) == curve(Path("torchrun"))
    assert_same_weights(Path("whole"), Path("torchrun"))


@pytest.mark.command
def test_a_process_that_does_not_start_is_named(runner, monkeypatch):
    monkeypatch.setattr(processes, "_FOLLOW", "raise SystemExit(3)")
    code, _, err = runner(*SETTING, *TWO, "train.epochs=1", "hydra.run.dir=run")
    assert code == 1
    assert "process 1 of 2 has died (exit code 3)" in err


FAULTY = """
import os, signal
from runner.experiment import processes
from runner.training import loop as train
original, steps = train.train_step, iter(range(10**9))
def step(*arguments):
    if next(steps) == 3:
        {fault}
    return original(*arguments)
train.train_step = step
processes.follow()
"""


@pytest.mark.command
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "process 1 of 2 has died (SIGKILL"),
        pytest.param(
            "raise ValueError('a fault')",
            "process 1 of 2: unexpected ValueError: a fault",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_a_process_that_fails_ends_the_run_with_its_error_and_a_resume_goes_on(
    runner, monkeypatch, fault, said
):
    with monkeypatch.context() as patch:
        patch.setattr(processes, "_FOLLOW", FAULTY.format(fault=fault))
        code, _, err = runner(*SETTING, *TWO, "train.epochs=1", "hydra.run.dir=run")
    assert code == 1
    assert said in err and "Traceback" not in err
    assert json.loads(Path("run/status.json").read_text())["status"] == "failed"
    code, _, err = runner("resume=run")
    assert code == 0, err


def test_a_sweep_under_torchrun_is_refused(runner, monkeypatch):
    monkeypatch.setattr(cli, "_meet", lambda: None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    code, _, err = runner("-m", "model=cn,aa", "dataset=lesmis")
    assert code == 1
    assert "torchrun starts one run" in err


@pytest.mark.command
def test_the_others_end_with_process_0(tmp_path):
    command = [sys.executable, "-m", "runner", *SETTING, *TWO, "train.epochs=100000"]
    first = subprocess.Popen([*command, f"hydra.run.dir={tmp_path / 'run'}"])
    try:
        others = wait_for(lambda: children(first.pid))
        wait_for(lambda: (tmp_path / "run/metrics.jsonl").exists())
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others))


def wait_for(condition, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_batch_norm_is_refused():
    """Each process would normalise its own share of the pairs."""
    alone, two = Ranks(), Ranks()
    two.size = 2
    normed, plain = (
        LinkModel(nn.Identity(), predictor) for predictor in (BUDDY(hidden=4), InnerProduct())
    )
    check_processes(normed, alone)
    check_processes(plain, two)
    with pytest.raises(RunnerError, match=r"give hardware\.processes=1"):
        check_processes(normed, two)
