"""Disks that fill up, go away and come back while a run writes to them."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from tests.runner.experiment.test_resume import (
    SETTING,
    assert_same_weights,
    curve,
    kill_after,
    scores,
    weights,
)

from runner.records import folder as run_folder
from runner.storage.seal import read_json
from runner.training import loop as train

FOUR = (*SETTING, "train.epochs=4")


@pytest.fixture
def uninterrupted(made_once) -> Path:
    return made_once(*FOUR)


def failing(monkeypatch, steps: range, number: int) -> None:
    """Let the disk refuse every file while the run is in these steps, counted from 0."""
    done = iter(range(10**9))
    state = {"refuses": False}
    step, replace, fsync = train.train_step, os.replace, os.fsync

    def watched(*arguments):
        state["refuses"] = next(done) in steps
        return step(*arguments)

    def refused(original):
        def call(*arguments):
            if state["refuses"]:
                raise OSError(number, os.strerror(number))
            return original(*arguments)

        return call

    monkeypatch.setattr(train, "train_step", watched)
    monkeypatch.setattr(run_folder.os, "replace", refused(replace))
    monkeypatch.setattr(run_folder.os, "fsync", refused(fsync))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.ESTALE])
def test_a_disk_that_comes_back_costs_nothing(runner, tmp_path, monkeypatch, uninterrupted, number):
    """It is away at the ends of the first two epochs: two metrics lines and a best epoch wait."""
    failing(monkeypatch, range(5, 24), number)
    code, out, err = runner(*FOUR, "hydra.run.dir=run")
    assert code == 0, err
    assert out.count("the checkpoint cannot be written") == 1
    assert "the run goes on and tries again, the last good checkpoint: none" in out
    assert "the disk takes it again" in out
    run = tmp_path / "run"
    assert scores(run) == scores(uninterrupted) and curve(run) == curve(uninterrupted)
    assert_same_weights(run, uninterrupted)


def test_a_disk_that_stays_full_ends_the_run_with_one_line(
    runner, tmp_path, monkeypatch, uninterrupted
):
    with monkeypatch.context() as patch:
        failing(patch, range(24, 10**9), errno.ENOSPC)
        code, out, err = runner(*FOUR, "hydra.run.dir=run")
    run = tmp_path / "run"
    assert code == 1 and "Traceback" not in out + err
    (line,) = err.splitlines()
    assert "No space left on device" in line and f"runner resume={run}" in line
    assert f"{run / 'checkpoints' / 'last.pt'}, after epoch 2" in line
    assert len(curve(run)) == 2
    assert runner(f"resume={run}")[0] == 0
    assert scores(run) == scores(uninterrupted) and curve(run) == curve(uninterrupted)
    assert_same_weights(run, uninterrupted)


def test_best_weights_that_had_to_wait_are_those_of_the_best_epoch(
    runner, tmp_path, monkeypatch, uninterrupted
):
    """By the time they can be written, training has moved on."""
    best = read_json((uninterrupted / "summary.json").read_text())["best_epoch"]
    assert best < 4
    failing(monkeypatch, range(11 * best - 1, 11 * best + 5), errno.ENOSPC)
    assert runner(*FOUR, "hydra.run.dir=run", "train.checkpoint_steps=3")[0] == 0
    mine, theirs = (weights(f, "best.pt") for f in (tmp_path / "run", uninterrupted))
    assert all((mine[k] == theirs[k]).all() for k in mine if hasattr(mine[k], "all"))


def test_a_checkpoint_on_a_full_disk_leaves_the_old_one(tmp_path):
    """A real one, of 300 KB."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)], capture_output=True
    )
    if made.returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        import torch

        from runner.records import checkpoint

        old, new = (
            {"format": checkpoint.FORMAT, "x": torch.full((50_000,), x)} for x in (1.0, 2.0)
        )
        path = tmp_path / "last.pt"
        checkpoint.write(path, old)
        with pytest.raises(OSError, match="No space left on device"):
            checkpoint.write(path, new, keep=2)
        assert torch.equal(checkpoint.read(path)["x"], old["x"])
        assert list(tmp_path.iterdir()) == [path]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_log_that_cannot_be_written_prints_no_traceback(runner, tmp_path, monkeypatch):
    def full(self, record):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            self.handleError(record)

    monkeypatch.setattr("logging.FileHandler.emit", full)
    code, out, err = runner(*SETTING, "train.epochs=1", "hydra.run.dir=run")
    assert code == 0, err
    assert "Traceback" not in out + err


def test_a_folder_that_vanished_is_one_line(runner, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 13)
        assert runner(*FOUR, "hydra.run.dir=run")[0] == 1
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    code, out, err = runner(f"resume={tmp_path / 'run'}")
    assert code == 1 and "there is no such folder" in err and "Traceback" not in out + err
