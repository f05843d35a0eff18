"""A run that was stopped ends as if it never had been."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from tests.conftest import run_folders

from runner import experiment, train
from runner.run_folder import RunFolder

# Edge dropout, sampled completion and several steps an epoch: every generator is in play.
SETTING = (
    "model=ncnc", "dataset=lesmis", "tracker=none", "encoder.hidden=8", "train.batch_size=16",
    "model.edge_dropout=0.2", "encoder.edge_dropout=0.1", "model.completion.keep_train=2",
    "model.completion.keep_eval=3", "model.completion.replacement=true",
)  # fmt: skip


def scores(folder: Path) -> dict:
    summary = json.loads((folder / "summary.json").read_text())
    return {key: summary[key] for key in ("best_epoch", "valid", "test", "epochs")}


def weights(folder: Path) -> dict:
    return torch.load(folder / "checkpoints" / "last.pt", weights_only=True)["model"]


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(torch.as_tensor(first[name]), torch.as_tensor(second[name])), name


def curve(folder: Path) -> list[tuple]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [
        tuple((k, v) for k, v in row.items() if "seconds" not in k and k != "memory_gib")
        for row in lines
    ]


class Killed(Exception):
    pass


def kill_after(monkeypatch, steps: int) -> None:
    """Let the process die in the step after `steps` ones, as a SIGKILL would: nothing is saved."""
    original, done = train.train_step, iter(range(10**9))

    def step(*arguments):
        if next(done) >= steps:
            raise Killed
        return original(*arguments)

    monkeypatch.setattr(train, "train_step", step)


@pytest.fixture
def uninterrupted(runner, tmp_path) -> Path:
    code, _, err = runner(*SETTING, "train.epochs=4", "hydra.run.dir=whole")
    assert code == 0, err
    return tmp_path / "whole"


@pytest.mark.parametrize("minutes", [1e-9, 10])
@pytest.mark.parametrize("steps", [13, 25, 37])
def test_killed_and_resumed_ends_in_the_same_bits(
    runner, tmp_path, monkeypatch, uninterrupted, steps, minutes
):
    """With a checkpoint after every step, and with those at the ends of epochs alone."""
    with monkeypatch.context() as patch:
        kill_after(patch, steps)
        code, _, _ = runner(
            *SETTING, "train.epochs=4", "hydra.run.dir=cut", f"train.checkpoint_minutes={minutes}"
        )
        assert code == 1
    cut = tmp_path / "cut"
    torch.manual_seed(99)
    before = {name: (cut / name).read_bytes() for name in ("config.yaml", "overrides.yaml")}
    code, _, err = runner(f"resume={cut}")
    assert code == 0, err
    assert scores(cut) == scores(uninterrupted)
    assert curve(cut) == curve(uninterrupted)
    assert_same_weights(cut, uninterrupted)
    assert before == {name: (cut / name).read_bytes() for name in before}
    assert len(json.loads((cut / "meta.json").read_text())["resumes"]) == 1
    assert set(run_folders(tmp_path)) == {cut, uninterrupted}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_step_and_the_resume_ends_in_the_same_bits(
    runner, tmp_path, monkeypatch, uninterrupted, number
):
    original, done = train.train_step, iter(range(10**9))

    def step(*arguments):
        if next(done) == 14:
            signal.raise_signal(number)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train_step", step)
        code, out, _ = runner(*SETTING, "train.epochs=4", "hydra.run.dir=cut")
    cut = tmp_path / "cut"
    assert code == 130 and f"runner resume={cut}" in out
    assert json.loads((cut / "status.json").read_text())["status"] == "interrupted"
    saved = torch.load(cut / "checkpoints" / "last.pt", weights_only=True)["state"]
    assert (saved["epoch"], saved["step"]) == (2, 4)
    assert runner(f"resume={cut}")[0] == 0
    assert scores(cut) == scores(uninterrupted)
    assert_same_weights(cut, uninterrupted)


def test_a_stop_between_metrics_line_and_checkpoint_doubles_no_epoch(
    runner, tmp_path, uninterrupted
):
    """metrics.jsonl may be ahead of last.pt; the line is dropped and written again."""
    assert runner(*SETTING, "train.epochs=2", "hydra.run.dir=cut")[0] == 0
    cut = tmp_path / "cut"
    with open(cut / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"epoch": 3, "loss": 123.0}) + "\n")
    code, _, err = runner(f"resume={cut}", "train.epochs=4")
    assert code == 0, err
    assert curve(cut) == curve(uninterrupted)


def test_epochs_may_grow_and_the_growth_is_remembered(runner, tmp_path, monkeypatch, uninterrupted):
    assert runner(*SETTING, "train.epochs=1", "hydra.run.dir=cut")[0] == 0
    cut = tmp_path / "cut"
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        assert runner(f"resume={cut}", "train.epochs=4")[0] == 1
    code, _, err = runner(f"resume={cut}")
    assert code == 0, err
    assert scores(cut) == scores(uninterrupted)


@pytest.mark.parametrize(
    "override", ["model.dropout=0.4", "seed=3", "train.batch_size=8", "model=ncn"]
)
def test_what_would_change_the_result_is_refused(runner, tmp_path, uninterrupted, override):
    before = (uninterrupted / "meta.json").read_bytes()
    code, _, err = runner(f"resume={uninterrupted}", override)
    assert code == 1 and "keeps its own config" in err
    assert before == (uninterrupted / "meta.json").read_bytes()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs.x=4", "keeps its own config"),
        ("hardware.device.x=4", "no key hardware.device.x"),
        ("hardware.nothing=4", "no key hardware.nothing"),
        ("hardware=gqu", "no such hardware"),
        ("", "cannot be read"),
        ("train.epochs=1,2", "give one value"),
    ],
)
def test_an_override_that_cannot_be_is_one_clear_error(runner, uninterrupted, override, message):
    code, out, err = runner(f"resume={uninterrupted}", override)
    assert code == 1 and message in err and "Traceback" not in out + err


def test_groups_may_be_changed_by_their_options(runner, tmp_path, uninterrupted):
    code, _, err = runner(
        f"resume={uninterrupted}", "hardware=cpu", "tracker=none", "train.epochs=5"
    )
    assert code == 0, err
    (entry,) = json.loads((uninterrupted / "meta.json").read_text())["resumes"]
    assert entry["overrides"] == ["hardware=cpu", "tracker=none", "train.epochs=5"]


def test_a_resume_that_fails_leaves_the_run_as_it_was(runner, uninterrupted):
    before = {
        name: (uninterrupted / name).read_bytes()
        for name in ("meta.json", "status.json", "metrics.jsonl", "summary.json")
    }
    checkpoint = uninterrupted / "checkpoints" / "last.pt"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:100])
    assert runner(f"resume={uninterrupted}", "train.epochs=6")[0] == 1
    assert before == {name: (uninterrupted / name).read_bytes() for name in before}
    checkpoint.write_bytes(whole)
    assert runner(f"resume={uninterrupted}", "train.epochs=6")[0] == 0


def test_a_run_that_is_running_is_refused(runner, uninterrupted):
    with RunFolder(uninterrupted).locked():
        code, _, err = runner(f"resume={uninterrupted}", "train.epochs=6")
    assert code == 1 and "is running it" in err
    assert len(curve(uninterrupted)) == 4


def test_fewer_epochs_are_refused(runner, uninterrupted):
    code, _, err = runner(f"resume={uninterrupted}", "train.epochs=2")
    assert code == 1 and "may only grow" in err


def test_a_finished_run_says_so(runner, uninterrupted):
    before = (uninterrupted / "meta.json").read_bytes()
    code, out, _ = runner(f"resume={uninterrupted}")
    assert code == 0 and "this run is finished" in out
    assert before == (uninterrupted / "meta.json").read_bytes()


def test_a_truncated_checkpoint_is_named(runner, uninterrupted, tmp_path):
    path = uninterrupted / "checkpoints" / "last.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, out, err = runner(f"resume={uninterrupted}", "train.epochs=6")
    assert code == 1 and "last.pt: the checkpoint is damaged" in err
    assert "Traceback" not in out + err


def test_a_checkpoint_that_is_a_pickle_of_code_is_refused(runner, uninterrupted, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"format": 1, "evil": Evil()}, uninterrupted / "checkpoints" / "last.pt")
    code, _, err = runner(f"resume={uninterrupted}", "train.epochs=6")
    assert code == 1 and "damaged or not one of ours" in err
    assert not (tmp_path / "executed").exists()


def test_a_folder_without_a_checkpoint(runner, uninterrupted):
    shutil.rmtree(uninterrupted / "checkpoints")
    code, _, err = runner(f"resume={uninterrupted}")
    assert code == 1 and "no checkpoints/last.pt" in err


def test_changed_data_is_refused(runner, tmp_path):
    edges = tmp_path / "graph.csv"
    lines = [f"{u},{v}" for u in range(30) for v in range(u) if (u * v + u) % 5 == 0]
    edges.write_text("\n".join(lines))
    arguments = ("dataset=edges", f"dataset.path={edges}", "tracker=none", "model=ncn")
    code, _, err = runner(*arguments, "train.epochs=1", "hydra.run.dir=run")
    assert code == 0, err
    edges.write_text("\n".join(lines[:-5]))
    code, _, err = runner(f"resume={tmp_path / 'run'}", "train.epochs=2")
    assert code == 1 and "the dataset has changed" in err


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    runner, tmp_path, monkeypatch, uninterrupted
):
    original, done = train.train_step, iter(range(10**9))

    def step(*arguments):
        loss, norm = original(*arguments)
        return (float("nan"), norm) if next(done) == 14 else (loss, norm)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train_step", step)
        code, out, err = runner(*SETTING, "train.epochs=4", "hydra.run.dir=cut")
    assert code == 1 and "the loss is nan in epoch 2, step 4" in err
    assert "Traceback" not in out + err
    cut = tmp_path / "cut"
    assert json.loads((cut / "status.json").read_text())["status"] == "failed"
    assert "Traceback" in (cut / "run.log").read_text()
    assert runner(f"resume={cut}")[0] == 0
    assert scores(cut) == scores(uninterrupted)


def test_an_unexpected_error_is_one_line_with_the_traceback_in_the_log(
    runner, tmp_path, monkeypatch
):
    def broken(*arguments, **named):
        raise KeyError("a bug")

    monkeypatch.setattr(experiment, "fit", broken)
    code, out, err = runner(*SETTING, "hydra.run.dir=cut")
    assert code == 1 and "unexpected KeyError" in err and "run.log" in err
    assert "Traceback" not in out + err
    assert "a bug" in (tmp_path / "cut" / "run.log").read_text()
