"""A run that was stopped ends as if it never had been."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pytest
import torch
from tests.conftest import run_folders

from runner.experiment import run as experiment
from runner.experiment.resume_overrides import apply
from runner.models.ncn import NCN
from runner.records import checkpoint
from runner.records.folder import RunFolder
from runner.storage.locks import locked
from runner.storage.seal import sealed_json, sealed_lines
from runner.training import loop as train
from runner.training.evaluator import RankingEvaluator
from runner.training.step import NotFinite

# Edge dropout, sampled completion and several steps an epoch: every generator is in play.
SETTING = (
    "model=ncnc", "dataset=lesmis", "tracker=none", "encoder.hidden=8", "train.batch_size=16",
    "model.edge_dropout=0.2", "encoder.edge_dropout=0.1", "model.completion.keep_train=2",
    "model.completion.keep_eval=3", "model.completion.replacement=true",
)  # fmt: skip


def scores(folder: Path) -> dict:
    summary = json.loads((folder / "summary.json").read_text())
    return {key: summary[key] for key in ("best_epoch", "valid", "test", "epochs")}


def weights(folder: Path, name: str = "last.pt") -> dict:
    return torch.load(folder / "checkpoints" / name, weights_only=True)["model"]


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
def uninterrupted(copied) -> Path:
    return copied("whole", *SETTING, "train.epochs=4")


@pytest.mark.parametrize(("steps", "minutes"), [(13, 10), (25, 1e-9), (37, 10)])
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
    (entry,) = json.loads((cut / "meta.json").read_text())["resumes"]
    assert entry["device"] == "cpu"
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


def test_a_stop_between_metrics_line_and_checkpoint_doubles_no_epoch(runner, copied, uninterrupted):
    """metrics.jsonl may be ahead of last.pt; the line is dropped and written again."""
    cut = copied("cut", *SETTING, "train.epochs=1")
    with open(cut / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"epoch": 2, "loss": 123.0}) + "\n")
    code, _, err = runner(f"resume={cut}", "train.epochs=4")
    assert code == 0, err
    assert curve(cut) == curve(uninterrupted)


def test_epochs_may_grow_and_the_growth_is_remembered(runner, copied, monkeypatch, uninterrupted):
    cut = copied("cut", *SETTING, "train.epochs=1")
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
    checkpoints = [uninterrupted / "checkpoints" / name for name in ("last.pt", "last-1.pt")]
    whole = [path.read_bytes() for path in checkpoints]
    for path in checkpoints:
        path.write_bytes(path.read_bytes()[:100])
    code, out, err = runner(f"resume={uninterrupted}", "train.epochs=6")
    assert code == 1 and "last.pt: the checkpoint is damaged" in err
    assert "Traceback" not in out + err
    assert before == {name: (uninterrupted / name).read_bytes() for name in before}
    for path, content in zip(checkpoints, whole, strict=True):
        path.write_bytes(content)
    assert runner(f"resume={uninterrupted}", "train.epochs=6")[0] == 0


def test_a_run_that_is_running_is_refused(runner, uninterrupted):
    with locked(uninterrupted):
        code, _, err = runner(f"resume={uninterrupted}", "train.epochs=6")
    assert code == 1 and f"process {os.getpid()} on " in err and "is running it" in err
    assert len(curve(uninterrupted)) == 4


def test_fewer_epochs_are_refused(runner, uninterrupted):
    code, _, err = runner(f"resume={uninterrupted}", "train.epochs=2")
    assert code == 1 and "may only grow" in err


def test_a_finished_run_says_so(runner, uninterrupted):
    before = (uninterrupted / "meta.json").read_bytes()
    code, out, _ = runner(f"resume={uninterrupted}")
    assert code == 0 and "this run is finished" in out
    assert before == (uninterrupted / "meta.json").read_bytes()


def kill_in_the_third_epoch(monkeypatch) -> None:
    kill_after(monkeypatch, 25)


@pytest.fixture
def cut(copied) -> Path:
    """A run of the same, killed in the third epoch."""
    return copied("cut", *SETTING, "train.epochs=4", prepare=kill_in_the_third_epoch, expected=1)


def flip_a_bit(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def truncate(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])


# Each way of sealing meets both kinds of damage.
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("last.pt", flip_a_bit), ("best.pt", truncate),
        ("metrics.jsonl", truncate), ("config.yaml", flip_a_bit),
        ("status.json", flip_a_bit), ("meta.json", truncate),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_and_survived(runner, cut, uninterrupted, name, damage):
    path = next(p for p in (cut / name, cut / "checkpoints" / name) if p.exists())
    damage(path, random.Random(name))
    broken = path.read_bytes()
    code, out, err = runner(f"resume={cut}")
    assert code == 0, err
    assert "damaged" in next(line for line in out.splitlines() if str(path) in line)
    assert scores(cut) == scores(uninterrupted)
    assert curve(cut) == curve(uninterrupted)
    assert_same_weights(cut, uninterrupted)
    if path.suffix == ".pt":
        assert path.with_name(f"{name}.damaged").read_bytes() == broken


def test_a_damaged_best_whose_weights_are_at_hand_is_written_again(runner, copied):
    """After the best epoch itself."""
    one = copied("one", *SETTING, "train.epochs=1")
    best = one / "checkpoints" / "best.pt"
    whole = torch.load(best, weights_only=True)["model"]
    best.write_bytes(best.read_bytes()[:50])
    (one / "summary.json").unlink()
    code, _, err = runner(f"resume={one}")
    assert code == 0, err
    again = torch.load(best, weights_only=True)["model"]
    assert all(torch.equal(torch.as_tensor(whole[k]), torch.as_tensor(again[k])) for k in whole)


def test_a_finished_run_with_a_damaged_record_is_mended(runner, uninterrupted):
    whole = {name: (uninterrupted / name).read_bytes() for name in ("config.yaml", "metrics.jsonl")}
    for name in whole:
        truncate(uninterrupted / name, random.Random(0))
    code, out, err = runner(f"resume={uninterrupted}")
    assert code == 0 and "this run is finished" in out, err
    assert whole == {name: (uninterrupted / name).read_bytes() for name in whole}


@pytest.mark.parametrize("kept", [1, 3])
def test_as_many_checkpoints_are_kept_as_wanted(made_once, kept):
    run = made_once(*SETTING, "train.epochs=3", f"train.keep_checkpoints={kept}")
    folder = run / "checkpoints"
    names = ["last.pt", "last-1.pt", "last-2.pt"][:kept]
    assert {path.name for path in folder.iterdir()} == {"best.pt", *names}
    states = [torch.load(folder / name, weights_only=True)["state"]["epoch"] for name in names]
    assert states == [4, 3, 2][:kept]


def test_a_resume_with_an_override_keeps_what_there_is_to_fall_back_on(runner, copied, monkeypatch):
    """Until the first new checkpoint, too."""
    run = copied("run", *SETTING, "train.epochs=3", "train.keep_checkpoints=3")
    kill_after(monkeypatch, 2)
    assert runner(f"resume={run}", "train.epochs=5")[0] == 1
    names = {path.name for path in (run / "checkpoints").iterdir()}
    assert names == {"best.pt", "last.pt", "last-1.pt", "last-2.pt"}


@pytest.mark.parametrize(
    "override",
    ["~train.epochs", "+train.epochs=5", "++train.epochs=5", "hardware={}", "hardware=null",
     "hardware=3", "tracker=[none]", "run.cache=null", f"train.epochs={'9' * 5000}"],
)  # fmt: skip
def test_an_override_that_says_nothing_is_refused(runner, uninterrupted, override):
    before = (uninterrupted / "status.json").read_bytes()
    code, out, err = runner(f"resume={uninterrupted}", override)
    assert code == 1 and override[:200] in err and "Traceback" not in out + err
    assert (uninterrupted / "status.json").read_bytes() == before


def test_fewer_checkpoints_may_be_kept_from_now_on(runner, copied):
    run = copied("run", *SETTING, "train.epochs=3", "train.keep_checkpoints=3")
    assert runner(f"resume={run}", "train.epochs=4", "train.keep_checkpoints=2")[0] == 0
    names = {path.name for path in (run / "checkpoints").iterdir()}
    assert names == {"best.pt", "last.pt", "last-1.pt"}


def test_a_checkpoint_every_so_many_steps(runner, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 16)
        assert runner(*SETTING, "train.checkpoint_steps=2", "hydra.run.dir=cut")[0] == 1
    state = torch.load(tmp_path / "cut" / "checkpoints" / "last.pt", weights_only=True)["state"]
    assert (state["epoch"], state["step"]) == (2, 4)  # 11 steps an epoch, 16 done: 11, 13, 15


def test_checkpoints_that_are_a_pickle_of_code_are_refused(runner, uninterrupted, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    for name in ("last.pt", "last-1.pt"):
        path = uninterrupted / "checkpoints" / name
        torch.save({"format": checkpoint.FORMAT, "evil": Evil()}, path)
        checkpoint.seal_archive(path)
    code, _, err = runner(f"resume={uninterrupted}", "train.epochs=6")
    assert code == 1 and "damaged or not one of ours" in err
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("left", [("config.yaml",), ("config.yaml", "meta.json", "checkpoints")])
def test_a_run_without_a_checkpoint_begins_anew(runner, cut, uninterrupted, left):
    """As one that was killed while it started or loaded its data."""
    for path in cut.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
            if path.name in left:
                path.mkdir()
        elif path.name not in left:
            path.unlink()
    code, out, err = runner(f"resume={cut}")
    assert code == 0, err
    assert "no checkpoint yet" in out
    assert scores(cut) == scores(uninterrupted)
    assert curve(cut) == curve(uninterrupted)
    assert_same_weights(cut, uninterrupted)


def test_stopped_within_an_evaluation_it_ends_in_the_same_bits(
    runner, tmp_path, monkeypatch, uninterrupted
):
    """Its completion samples neighbours from a generator that the evaluation has moved by then."""
    original, done = RankingEvaluator._score, iter(range(10**9))

    def score(*arguments):
        if next(done) == 6:  # of the second epoch's test split
            signal.raise_signal(signal.SIGUSR1)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RankingEvaluator, "_score", score)
        code, out, _ = runner(*SETTING, "train.epochs=4", "hydra.run.dir=cut")
    cut = tmp_path / "cut"
    assert code == 130 and f"runner resume={cut}" in out
    state = torch.load(cut / "checkpoints" / "last.pt", weights_only=True)["state"]
    assert (state["epoch"], state["step"]) == (2, 11)
    assert runner(f"resume={cut}")[0] == 0
    assert scores(cut) == scores(uninterrupted)
    assert_same_weights(cut, uninterrupted)


def kill_in_the_second_epoch(monkeypatch) -> None:
    kill_after(monkeypatch, 12)


def test_latest_is_the_newest_that_is_not_done(runner, tmp_path, copied, monkeypatch):
    killed = (*SETTING, "train.epochs=2")
    copied("outputs/older", *killed, prepare=kill_in_the_second_epoch, expected=1)
    with monkeypatch.context() as patch:
        kill_after(patch, 12)
        assert runner(*killed, "hydra.run.dir=outputs/newer")[0] == 1
    assert runner(*SETTING, "train.epochs=0", "hydra.run.dir=outputs/done")[0] == 0
    for expected in ("newer", "older"):
        code, out, err = runner("resume=latest")
        assert code == 0 and str(tmp_path / "outputs" / expected) in out, err
    code, _, err = runner("resume=latest")
    assert code == 1 and "resume=latest: no run in" in err


def test_auto_goes_on_with_the_same_experiment_or_starts(runner, tmp_path, monkeypatch):
    command = ("resume=auto", *SETTING, "train.epochs=2")
    with monkeypatch.context() as patch:
        kill_after(patch, 12)
        assert runner(*command)[0] == 1
    (first,) = run_folders(tmp_path)
    assert runner(*command, "seed=5")[0] == 0  # another run
    assert len(run_folders(tmp_path)) == 2
    with locked(first):
        code, _, err = runner(*command)
    assert code == 1 and "resume=auto" in err and f"process {os.getpid()}" in err
    code, out, err = runner(*command)
    assert code == 0 and f"goes on with {first}" in out, err
    assert len(run_folders(tmp_path)) == 2
    assert runner(*command)[0] == 0  # it is done: a new one
    assert len(run_folders(tmp_path)) == 3


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


def not_finite_in(monkeypatch, numbers) -> None:
    """Let the loss of these steps, counted from 0, be undefined."""
    original, done = train.train_step, iter(range(10**9))

    def step(*arguments):
        if next(done) in numbers:
            raise NotFinite("predictor", loss=float("nan"), gradient_norm=float("nan"))
        return original(*arguments)

    monkeypatch.setattr(train, "train_step", step)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    runner, tmp_path, monkeypatch, uninterrupted
):
    with monkeypatch.context() as patch:
        not_finite_in(patch, [14])
        code, out, err = runner(*SETTING, "train.epochs=4", "hydra.run.dir=cut")
    assert code == 1
    assert "the loss is nan, first in stage predictor, in epoch 2, step 4" in err
    cut = tmp_path / "cut"
    assert f"the last good checkpoint: {cut / 'checkpoints' / 'last.pt'}, after epoch 1" in err
    assert "Traceback" not in out + err
    assert json.loads((cut / "status.json").read_text())["status"] == "failed"
    assert "Traceback" in (cut / "run.log").read_text()
    report = json.loads((cut / "not_finite.json").read_text())
    assert (report["epoch"], report["step"], report["stage"]) == (2, 4, "predictor")
    assert len(report["positives"]) == len(report["negatives"]) == 16
    assert runner(f"resume={cut}")[0] == 0
    assert scores(cut) == scores(uninterrupted)


def test_steps_that_are_not_finite_can_be_skipped(runner, tmp_path, monkeypatch):
    not_finite_in(monkeypatch, [14, 15])
    code, out, err = runner(
        *SETTING, "train.epochs=3", "train.not_finite=skip", "hydra.run.dir=run"
    )
    assert code == 0, err
    assert "the step is skipped" in out
    rows = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["skipped_steps"] for row in rows] == [0, 2, 0]
    assert all(0.1 < row["loss"] < 3 for row in rows)


def test_too_many_skipped_steps_end_the_run(runner, tmp_path, monkeypatch):
    not_finite_in(monkeypatch, range(14, 40))
    code, _, err = runner(*SETTING, "train.epochs=9", "train.not_finite=skip", "hydra.run.dir=run")
    assert code == 1 and "10 steps in a row were skipped" in err


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


def test_a_finished_run_with_a_damaged_last_checkpoint_keeps_its_epochs(runner, uninterrupted):
    """What came after the checkpoint before it is done again, and best.pt is looked at too."""
    before = curve(uninterrupted)
    whole = weights(uninterrupted)
    for name in ("last.pt", "best.pt"):
        flip_a_bit(uninterrupted / "checkpoints" / name, random.Random(1))
    code, out, err = runner(f"resume={uninterrupted}")
    assert code == 0, err
    assert curve(uninterrupted) == before
    again = weights(uninterrupted)
    assert all(torch.equal(torch.as_tensor(again[k]), torch.as_tensor(whole[k])) for k in whole)
    for name in ("last.pt", "best.pt"):
        assert f"{uninterrupted / 'checkpoints' / name} is damaged" in out
        assert (uninterrupted / "checkpoints" / f"{name}.damaged").exists()


def test_a_finished_run_whose_checkpoints_were_removed_stays_finished(runner, uninterrupted):
    shutil.rmtree(uninterrupted / "checkpoints")
    before = curve(uninterrupted)
    code, out, err = runner(f"resume={uninterrupted}")
    assert code == 0 and "this run is finished" in out, err
    code, _, err = runner(f"resume={uninterrupted}", "train.epochs=6")
    assert code == 1 and "its checkpoints are gone" in err
    assert curve(uninterrupted) == before


def test_latest_takes_no_folder_that_is_none_of_ours(runner, copied):
    """W&B keeps a config.yaml of its own, and a run what it began from."""
    killed = (*SETTING, "train.epochs=2")
    run = copied("outputs/run", *killed, prepare=kill_in_the_second_epoch, expected=1)
    for other in (run / "wandb" / "run-1" / "files", run / "init"):
        other.mkdir(parents=True)
        for name in ("config.yaml", "meta.json"):
            (other / name).write_text("{}")
    code, out, err = runner("resume=latest")
    assert code == 0 and f"run folder  {run}" in out, err


def test_auto_survives_what_lies_beside(runner, tmp_path, monkeypatch):
    """A run whose config is damaged is found by its checkpoint; a foreign folder is passed over."""
    command = ("resume=auto", *SETTING, "train.epochs=2")
    with monkeypatch.context() as patch:
        kill_after(patch, 12)
        assert runner(*command)[0] == 1
    (run,) = run_folders(tmp_path)
    foreign = run.parent / "foreign"
    foreign.mkdir()
    for name, text in (("config.yaml", sealed_lines("a: 1\n")), ("meta.json", sealed_json({}))):
        (foreign / name).write_text(text)
    truncate(run / "config.yaml", random.Random(0))
    code, out, err = runner(*command)
    assert code == 0 and f"goes on with {run}" in out, err


def test_auto_finds_a_run_that_has_grown_and_takes_where_it_runs(runner, tmp_path, monkeypatch):
    command = ("resume=auto", *SETTING, "hardware.threads=1")
    assert runner(*command, "train.epochs=1")[0] == 0
    (run,) = run_folders(tmp_path)
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        assert runner(f"resume={run}", "train.epochs=3")[0] == 1
    code, out, err = runner(*command, "train.epochs=3", "train.grace_seconds=7")
    assert code == 0 and f"goes on with {run}" in out, err
    entry = json.loads((run / "meta.json").read_text())["resumes"][-1]
    assert {"hardware.threads=1", "train.grace_seconds=7"} <= set(entry["overrides"])


def test_auto_in_a_folder_of_its_own_says_that_it_is_finished(runner, tmp_path):
    command = ("resume=auto", *SETTING, "train.epochs=1", "hydra.run.dir=mine")
    assert runner(*command)[0] == 0
    code, out, err = runner(*command)
    assert code == 0 and "this run is finished" in out, err


def test_growth_outlives_a_damaged_meta(runner, cut, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        assert runner(f"resume={cut}", "train.epochs=5")[0] == 1
    truncate(cut / "meta.json", random.Random(0))
    assert runner(f"resume={cut}")[0] == 0
    assert len(curve(cut)) == 5


def test_a_place_given_to_a_resume_holds_from_any_directory(runner, tmp_path, monkeypatch):
    edges = tmp_path / "graph.csv"
    lines = [f"{u},{v}" for u in range(30) for v in range(u) if (u * v + u) % 5 == 0]
    edges.write_text("\n".join(lines))
    arguments = ("dataset=edges", f"dataset.path={edges}", "tracker=none", "model=ncn")
    assert runner(*arguments, "train.epochs=1", "hydra.run.dir=run")[0] == 0
    (tmp_path / "moved").mkdir()
    edges.rename(tmp_path / "moved" / "graph.csv")
    monkeypatch.chdir(tmp_path / "moved")
    code, _, err = runner("resume=../run", "dataset.path=graph.csv", "train.epochs=2")
    assert code == 0, err
    monkeypatch.chdir(tmp_path)
    code, _, err = runner("resume=run", "train.epochs=3")
    assert code == 0, err


def test_an_option_of_a_group_comes_before_its_keys(runner, uninterrupted):
    overrides = ("hardware.threads=1", "hardware=cpu", "train.epochs=5")
    assert runner(f"resume={uninterrupted}", *overrides)[0] == 0
    assert apply(RunFolder(uninterrupted).config(), overrides)["hardware"]["threads"] == 1


def test_what_a_run_began_from_is_no_run(runner, uninterrupted):
    (uninterrupted / "init").mkdir()
    code, _, err = runner(f"resume={uninterrupted / 'init'}")
    assert code == 1 and "is what the run in" in err


class Mine(NCN):
    """A model of somebody's own."""


def test_a_folders_config_runs_nothing_that_nobody_has_named(runner, tmp_path):
    """A config can name any function; that of a folder may be anybody's."""
    target = "model._target_=tests.runner.experiment.test_resume.Mine"
    setting = ("dataset=lesmis", "tracker=none", "encoder.hidden=8", "model=ncn", target)
    code, _, err = runner(*setting, "train.epochs=1", "hydra.run.dir=run")
    assert code == 0, err
    run = tmp_path / "run"
    code, _, err = runner(f"resume={run}", "train.epochs=2")
    assert code == 1
    assert (
        "runs tests.runner.experiment.test_resume.Mine (model._target_), which is none of ours"
        in err
    )
    assert len(curve(run)) == 1
    code, _, err = runner(f"resume={run}", "train.epochs=2", target)
    assert code == 0, err
    code, out, err = runner("resume=auto", *setting, "train.epochs=2", "hydra.run.dir=run")
    assert code == 0 and "this run is finished" in out, err  # the command itself names it
