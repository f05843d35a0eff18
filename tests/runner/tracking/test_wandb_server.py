"""Whole runs against a W&B server that works, and against every kind that does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import wandb
from tests.conftest import run_folders
from tests.runner.tracking.test_wandb import records, steps
from tests.wandb_stub import API_KEY, Behaviour, WandbStub

from runner.training.step import train_step

EPOCHS = 3
QUICK = ("dataset=lesmis", "model=ncn", "encoder.hidden=8", f"train.epochs={EPOCHS}")
TIMEOUTS = ("tracker.init_timeout=1", "tracker.finish_timeout=1")
BIN = Path(sys.executable).parent
FAILURES: tuple[Behaviour, ...] = ("refuse", "hang", "slow", "rate limit", "error")
# What starting a run asks for: RunResumeStatus, UpsertBucket.
REQUESTS_OF_START = 2

pytestmark = [pytest.mark.command, pytest.mark.soak]


@pytest.fixture(autouse=True)
def own_session() -> Iterator[None]:
    wandb.teardown()
    yield
    wandb.teardown()


def point_at(stub: WandbStub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(stub).items():
        monkeypatch.setenv(name, value)


def environment(stub: WandbStub) -> dict[str, str]:
    return {
        "WANDB_BASE_URL": stub.url,
        "WANDB_API_KEY": API_KEY,
        "WANDB_MODE": "online",
        "WANDB_ERROR_REPORTING": "false",
    }


def epochs_in(folder: Path) -> list[int]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def upload_command(out: str) -> str:
    (line,) = (line for line in out.splitlines() if line.startswith("upload "))
    return line.removeprefix("upload").strip()


def paths_of(command: str) -> Path:
    return Path(command.split()[-1])


def tracked_steps(folder: Path) -> list[list[int]]:
    """The steps of each transaction log below the run's folder that has any."""
    found = [steps(records(log.parent)) for log in sorted(folder.glob("wandb/*run-*/*.wandb"))]
    return [of_one for of_one in found if of_one]


def upload(command: str) -> None:
    subprocess.run(f"{BIN}/{command}", shell=True, check=True, capture_output=True)


def services() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.name() == "wandb-core"]


def test_the_server_has_all_of_a_run_and_of_its_resume(runner, tmp_path, monkeypatch):
    with WandbStub() as stub:
        point_at(stub, monkeypatch)
        code, out, err = runner(*QUICK, "hydra.run.dir=run", "seed=3")
        assert code == 0, err
        folder = tmp_path / "run"
        meta = json.loads((folder / "meta.json").read_text())
        assert list(stub.runs) == [meta["run_id"]]
        run = stub.runs[meta["run_id"]]
        assert f"W&B         {stub.url}/stub/runner/runs/{meta['run_id']}" in out
        assert "upload " not in out
        assert run.bucket["project"] == "runner"
        assert run.bucket["groupName"] == meta["experiment"]
        assert run.bucket["jobType"] == "train"
        assert run.bucket["displayName"] == "ncn-lesmis-seed3"
        assert {"ncn", "lesmis"} <= set(run.bucket["tags"])
        assert run.config["seed"] == 3
        assert run.config["train/epochs"] == EPOCHS
        assert run.config["run/dataset"] == "lesmis"
        assert run.sent == [1, 2, 3]
        logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for row, sent in zip(logged, run.rows, strict=True):
            assert row.items() <= sent.items()
        assert run.exit_code == 0
        tables = {"media/config_diff", "media/curves_table", "media/hardest_test_pairs"}
        for key in tables:
            assert run.rows[-1][key]["path"] in run.uploads
            assert run.summary[key]["_type"] == "table-file"
        assert not [name for name in stub.requests if "rtifact" in name]

        code, out, err = runner(f"resume={folder}", "train.epochs=5")
        assert code == 0, err
        assert list(stub.runs) == [meta["run_id"]]
        assert run.sent == [1, 2, 3, 4, 5]
        assert [row["_step"] for row in run.rows] == [1, 2, 3, 4, 5]
        # With more epochs it is a run of another experiment.
        resumed = json.loads((folder / "meta.json").read_text())
        assert run.bucket["groupName"] == resumed["experiment"] != meta["experiment"]
        assert run.bucket["jobType"] == "train"
        assert run.config["train/epochs"] == 5
        summary = json.loads((folder / "summary.json").read_text())
        assert run.summary["best_epoch"] == summary["best_epoch"]
        assert run.summary["epoch"] == summary["best_epoch"]


def test_wandb_takes_no_signal(runner, monkeypatch):
    takers = []
    take = signal.signal

    def noted(number, handler):
        takers.append(sys._getframe(1).f_globals["__name__"])
        return take(number, handler)

    monkeypatch.setattr(signal, "signal", noted)
    with WandbStub() as stub:
        point_at(stub, monkeypatch)
        code, _, err = runner(*QUICK)
        assert code == 0, err
    assert takers and not [name for name in takers if not name.startswith("runner.")]


def test_jobs_of_one_process_are_runs_of_their_own_in_one_group(runner, monkeypatch):
    with WandbStub() as stub:
        point_at(stub, monkeypatch)
        code, _, err = runner("-m", "seed=0,1", *QUICK)
        assert code == 0, err
        assert len(stub.runs) == 2
        assert [run.sent for run in stub.runs.values()] == [[1, 2, 3]] * 2
        assert sorted(run.config["seed"] for run in stub.runs.values()) == [0, 1]
        assert len({run.bucket["groupName"] for run in stub.runs.values()}) == 1


@pytest.mark.parametrize("behaviour", [b for b in FAILURES if b != "slow"])
def test_a_run_that_cannot_go_online_goes_on_offline(runner, tmp_path, monkeypatch, behaviour):
    with WandbStub(behaviour) as stub:
        point_at(stub, monkeypatch)
        code, out, err = runner(*QUICK, *TIMEOUTS)
        assert code == 0, err
        (folder,) = run_folders(tmp_path)
        assert epochs_in(folder) == [1, 2, 3]
        assert "W&B cannot go online (" in out and "without it" not in out
        assert upload_command(out) == f"wandb sync {folder}/wandb"
        assert tracked_steps(folder) == [[1, 2, 3]]
    with WandbStub() as stub:
        point_at(stub, monkeypatch)
        upload(upload_command(out))
        (run,) = stub.runs.values()
        assert run.sent == [1, 2, 3] and run.exit_code == 0


@pytest.mark.parametrize("behaviour", FAILURES)
def test_a_run_whose_server_fails_later_keeps_every_row(runner, tmp_path, monkeypatch, behaviour):
    with WandbStub(behaviour, after=REQUESTS_OF_START) as stub:
        point_at(stub, monkeypatch)
        # What is slow takes longer than this for the whole upload, though it does answer.
        code, out, err = runner(*QUICK, "tracker.finish_timeout=1")
        assert code == 0, err
        (folder,) = run_folders(tmp_path)
        assert epochs_in(folder) == [1, 2, 3]
        assert "tracker.finish_timeout=1 seconds" in out and "without it" not in out
        command = upload_command(out)
        assert command.startswith(f"wandb sync --include-online {folder}/wandb/run-")
        assert steps(records(paths_of(command))) == [1, 2, 3]
        wandb.teardown()
        if behaviour != "refuse":
            stub.behaviour = "ok"
            upload(command)
            (run,) = stub.runs.values()
            assert [row["_step"] for row in run.rows] == [1, 2, 3] and run.exit_code == 0


def test_jobs_beside_a_server_that_hangs_all_end_with_runs_of_their_own(
    runner, tmp_path, monkeypatch
):
    with WandbStub("hang", after=REQUESTS_OF_START) as stub:
        point_at(stub, monkeypatch)
        code, _, err = runner("-m", "seed=0,1", *QUICK, *TIMEOUTS)
        assert code == 0, err
        folders = run_folders(tmp_path)
        assert [tracked_steps(folder) for folder in folders] == [[[1, 2, 3]]] * 2


def test_training_does_not_wait_for_wandb(runner, monkeypatch):
    steps_done: list[int] = []
    trained = threading.Event()
    in_time = []

    def step(*arguments):
        steps_done.append(1)
        if len(steps_done) == EPOCHS:
            trained.set()
        return train_step(*arguments)

    def init(**arguments):
        in_time.append(trained.wait(20))
        raise wandb.errors.CommError("no answer")

    monkeypatch.setattr("runner.training.loop.train_step", step)
    monkeypatch.setattr(wandb, "init", init)
    with WandbStub() as stub:
        point_at(stub, monkeypatch)
        assert runner(*QUICK)[0] == 0
    assert in_time == [True, True]  # online, then offline


@pytest.mark.parametrize("stop", [psutil.Process.suspend, psutil.Process.kill])
def test_a_service_that_stops_working_is_not_left_behind(runner, tmp_path, monkeypatch, stop):
    monkeypatch.setattr("runner.tracking.background._GRACE_SECONDS", 2.0)
    monkeypatch.setattr("runner.tracking.wandb._END_SECONDS", 1.0)
    stopped: list[psutil.Process] = []
    connections: list[Any] = []

    def step(*arguments):
        if not stopped:
            while "file_stream" not in stub.requests:
                time.sleep(0.05)
            time.sleep(0.5)  # wandb.init has come back
            stopped.extend(services())
            connections.append(wandb.setup()._connection)
            for service in stopped:
                stop(service)
        return train_step(*arguments)

    monkeypatch.setattr("runner.training.loop.train_step", step)
    with WandbStub() as stub:
        point_at(stub, monkeypatch)
        code, out, err = runner(*QUICK, *TIMEOUTS)
        assert code == 0, err
        (folder,) = run_folders(tmp_path)
        assert epochs_in(folder) == [1, 2, 3]
        assert all(
            not service.is_running() or service.status() == psutil.STATUS_ZOMBIE
            for service in stopped
        )
        assert out.count("the run goes on without it") == 1
        assert upload_command(out).startswith(f"wandb sync --include-online {folder}/wandb")

        connections[0]._proc.join()  # W&B does not reap a service that died: it would warn

        # The next run of this process is online again.
        monkeypatch.setattr("runner.training.loop.train_step", train_step)
        code, out, err = runner(*QUICK)
        assert code == 0, err
        assert list(stub.runs.values())[-1].sent == [1, 2, 3]


@pytest.mark.parametrize("after", [0, pytest.param(REQUESTS_OF_START, marks=pytest.mark.soak)])
def test_a_process_ends_soon_beside_a_server_that_hangs(tmp_path, after):
    with WandbStub("hang", after=after) as stub:
        variables = {**os.environ, **environment(stub)}
        del variables["WANDB_ERROR_REPORTING"]  # the tracker's own business
        command = [str(BIN / "runner"), *QUICK, *TIMEOUTS]
        with subprocess.Popen(
            command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            out = ""
            while "upload " not in out:
                line = process.stdout.readline()
                assert line, process.stderr.read()
                out += line
            said = time.monotonic()
            left = psutil.Process(process.pid).children(recursive=True)
            assert process.wait(30) == 0
            assert time.monotonic() - said < 5
            assert process.stderr.read() == ""
    assert not psutil.wait_procs(left, timeout=5)[1]
