"""The recorder: what is on the disk, and when."""

from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch
from tests.runner import toy

from runner.errors import Interrupted, Pruned, RunnerError
from runner.records import checkpoint
from runner.records import recorder as module
from runner.records.checkpoint import FORMAT
from runner.records.folder import RunFolder
from runner.records.recorder import RunRecorder, Watched
from runner.storage.seal import read_json
from runner.tracking.tracker import Tracker
from runner.training.loop import fit
from runner.training.ranks import Ranks
from runner.training.state import TrainingState


class Kept(Tracker):
    """A tracker that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict]] = []

    def log(self, row, step):
        self.rows.append((step, dict(row)))


class Shown:
    """A progress display that keeps what it is given."""

    def __init__(self) -> None:
        self.steps: list[tuple] = []
        self.epochs: list[tuple] = []

    def step(self, *given):
        self.steps.append(given)

    def epoch(self, *given, best):
        self.epochs.append((*given, best))


class Scene:
    """A recorder in a folder of its own, of a run whose only weight is set by hand."""

    def __init__(self, path, *, selection="score", judge=None, saved=None, **train) -> None:
        self.weight = torch.zeros(1)
        self.state = TrainingState()
        self.tracker, self.shown = Kept(), Shown()
        self.folder = RunFolder.claim(path, config={"a": 1}, overrides=[], meta={})
        self.stops = False
        self.recorder = RunRecorder(
            (self.folder, self.tracker, self.shown),
            Watched(self.snapshot, lambda: self.stops, lambda: 0.25, selection, judge),
            toy.settings(**train),
            saved,
        )

    def snapshot(self, state):
        made = {"format": FORMAT, "fingerprint": toy.FINGERPRINT, "state": asdict(state)}
        return {**made, "weight": self.weight}

    def epoch(self, score: float | None, *, loss: float | None = 0.5, seconds: float = 1.0) -> None:
        """End an epoch with this validation score, as the loop does; its weight is its number."""
        state, number = self.state, self.state.epoch
        self.weight.fill_(float(number))
        row = {"epoch": number, "loss": loss, "seconds": seconds}
        if loss is None:
            del row["loss"]
        improved = False
        if score is not None:
            row |= {"valid/score": score, "test/score": -score}
            improved = state.best is None or score > state.best["valid"]["score"]
        if improved:
            state.best = {"epoch": number, "valid": {"score": score}, "test": {"score": -score}}
        state.next_epoch({})
        self.recorder.epoch(row, state, improved)

    def step(self, epoch: int, step: int) -> None:
        self.state.epoch, self.state.step = epoch, step
        self.weight.add_(0.125)
        self.recorder.step(self.state, 4, 0.5)

    def saved(self, name: str = "last.pt") -> dict:
        return checkpoint.read(self.folder.checkpoints / name)

    def place(self, name: str = "last.pt") -> tuple[int, int]:
        state = self.saved(name)["state"]
        return state["epoch"], state["step"]

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.folder.metrics.read_text().splitlines()]

    def names(self) -> set[str]:
        return {path.name for path in self.folder.checkpoints.iterdir()}


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path / "run")


class Disk:
    """Lets writes of checkpoints fail, by file name, and notes those that succeed."""

    def __init__(self, monkeypatch) -> None:
        self.full: set[str] = set()
        self.written: list[str] = []
        write = checkpoint.write

        def watched(path, content, **named):
            if path.name in self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(path, content, **named)
            self.written.append(path.name)

        monkeypatch.setattr(checkpoint, "write", watched)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def test_each_epoch_is_a_line_with_the_peak_memory(scene):
    for score in (0.1, None, 0.3):
        scene.epoch(score)
    plain = {"loss": 0.5, "seconds": 1.0, "memory_gib": 0.25}
    assert scene.lines() == [
        {"epoch": 1, **plain, "valid/score": 0.1, "test/score": -0.1},
        {"epoch": 2, **plain},
        {"epoch": 3, **plain, "valid/score": 0.3, "test/score": -0.3},
    ]


def test_the_tracker_gets_the_line_and_the_selected_scores(scene):
    for score in (0.1, None):
        scene.epoch(score)
    first, second = scene.lines()
    assert scene.tracker.rows == [
        (1, {**first, "selected/valid": 0.1, "selected/test": -0.1}),
        (2, second),
    ]


def test_the_progress_display_gets_steps_epochs_and_the_best(scene):
    scene.step(1, 3)
    for score in (None, 0.2, 0.1):
        scene.epoch(score)
    assert scene.shown.steps == [(3, 4, 0.5)]
    assert scene.shown.epochs == [
        (1, 0.5, None, 1.0, None), (2, 0.5, 0.2, 1.0, 0.2), (3, 0.5, 0.1, 1.0, 0.2)
    ]  # fmt: skip


def test_an_evaluation_without_training_has_no_loss(scene):
    scene.state.epoch = 0
    scene.epoch(0.4, loss=None)
    assert "loss" not in scene.lines()[0]
    assert scene.shown.epochs == [(0, None, 0.4, 1.0, 0.4)]


@pytest.mark.parametrize(
    ("scores", "written", "best"),
    [
        ([0.1, 0.3, 0.2, 0.3, 0.4], [1, 2, 5], 5),
        ([0.3, 0.2, 0.1], [1], 1),
        ([None, 0.1, None, 0.2], [2, 4], 4),
    ],
)
def test_best_is_written_when_validation_improves_and_never_else(
    scene, disk, scores, written, best
):
    found = []
    for number, score in enumerate(scores, start=1):
        disk.written.clear()
        scene.epoch(score)
        assert disk.written in (["best.pt", "last.pt"], ["last.pt"])
        if disk.written[0] == "best.pt":
            found.append(number)
    assert found == written
    assert scene.saved("best.pt")["weight"].item() == best
    assert scene.saved()["weight"].item() == len(scores)


def test_a_checkpoint_between_epochs_leaves_best_as_it_is(scene, disk):
    scene.epoch(0.5)
    before = (scene.folder.checkpoints / "best.pt").read_bytes()
    scene.step(2, 1)
    scene.recorder.checkpoint(scene.state)
    assert disk.written == ["best.pt", "last.pt", "last.pt"]
    assert (scene.folder.checkpoints / "best.pt").read_bytes() == before
    assert scene.place() == (2, 1) and scene.saved()["weight"].item() == 1.125


def test_a_checkpoint_holds_the_records_up_to_its_epoch(scene):
    scene.epoch(0.1)
    scene.epoch(0.2)
    for name in ("best.pt", "last.pt"):
        records = scene.saved(name)["records"]
        assert records["metrics.jsonl"] == scene.folder.metrics.read_text()
        assert records["config.yaml"] == (scene.folder.path / "config.yaml").read_text()
    assert scene.saved("last-1.pt")["records"]["metrics.jsonl"].count("\n") == 1


@pytest.mark.parametrize("keep", [1, 3])
def test_so_many_checkpoints_are_kept(tmp_path, keep):
    scene = Scene(tmp_path / "run", keep_checkpoints=keep)
    for _ in range(4):
        scene.epoch(None)
    assert scene.names() == {"last.pt", "last-1.pt", "last-2.pt"} - (
        {"last-1.pt", "last-2.pt"} if keep == 1 else set()
    )


def test_a_checkpoint_is_due_after_so_many_steps(tmp_path):
    scene = Scene(tmp_path / "run", checkpoint_steps=3)
    due = []
    for step in range(1, 9):
        scene.step(1, step)
        due.append(scene.recorder.checkpoint_due())
        if due[-1]:
            scene.recorder.checkpoint(scene.state)
    assert due == [False, False, True, False, False, True, False, False]
    scene.epoch(0.1)  # saves too
    scene.step(2, 1)
    assert not scene.recorder.checkpoint_due()


def test_a_checkpoint_is_due_after_so_many_minutes(tmp_path, monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    scene = Scene(tmp_path / "run", checkpoint_minutes=2.0)
    now.seconds += 119
    scene.step(1, 1)
    assert not scene.recorder.checkpoint_due()
    now.seconds += 1
    assert scene.recorder.checkpoint_due()
    scene.recorder.checkpoint(scene.state)
    assert not scene.recorder.checkpoint_due()
    now.seconds += 100
    scene.epoch(None)
    now.seconds += 119
    assert not scene.recorder.checkpoint_due()
    now.seconds += 1
    assert scene.recorder.checkpoint_due()


def test_without_a_number_of_steps_none_makes_one_due(scene):
    for step in range(1, 1000):
        scene.step(1, step)
    assert not scene.recorder.checkpoint_due()


def test_it_asks_the_run_whether_to_stop(scene):
    assert not scene.recorder.stop_requested()
    scene.stops = True
    assert scene.recorder.stop_requested()


def test_the_judge_is_asked_once_all_is_saved(tmp_path):
    asked = []

    def judge(epoch, name, value):
        asked.append(
            (epoch, name, value, scene.place(), scene.place("best.pt"), len(scene.lines()))
        )

    scene = Scene(tmp_path / "run", judge=judge)
    for score in (0.1, None, 0.3, 0.2):
        scene.epoch(score)
    assert asked == [
        (1, "score", 0.1, (2, 0), (2, 0), 1),
        (3, "score", 0.3, (4, 0), (4, 0), 3),
        (4, "score", 0.2, (5, 0), (4, 0), 4),
    ]


def test_without_a_metric_there_is_nothing_to_judge(tmp_path):
    def judge(epoch, name, value):
        raise AssertionError("asked")

    scene = Scene(tmp_path / "run", selection=None, judge=judge)
    scene.epoch(None)
    assert scene.tracker.rows == [(1, scene.lines()[0])]
    assert scene.shown.epochs == [(1, 0.5, None, 1.0, None)]


def test_a_judge_prunes_a_run_whose_epoch_is_saved(tmp_path):
    def judge(epoch, name, value):
        if epoch == 2:
            raise Pruned

    scene = Scene(tmp_path / "run", judge=judge)
    scene.epoch(0.3)
    with pytest.raises(Pruned), scene.folder.recording_status():
        scene.epoch(0.2)
    assert [line["epoch"] for line in scene.lines()] == [1, 2]
    assert scene.place() == (3, 0) and scene.place("best.pt") == (2, 0)
    assert len(scene.tracker.rows) == len(scene.shown.epochs) == 2
    status = read_json((scene.folder.path / "status.json").read_text())
    assert (status["status"], status["error"]) == ("pruned", None)


def test_a_torn_line_is_gone_with_the_next(scene):
    scene.epoch(0.1)
    with open(scene.folder.metrics, "a") as file:
        file.write('{"epoch": 2, "lo')
    scene.epoch(0.2)
    assert [line["epoch"] for line in scene.lines()] == [1, 2]
    assert scene.saved()["records"]["metrics.jsonl"] == scene.folder.metrics.read_text()


def test_a_line_that_could_not_be_written_comes_with_the_next_checkpoint(
    scene, monkeypatch, caplog
):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    scene.epoch(0.1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        scene.epoch(0.2)
    assert len(scene.lines()) == 1 and scene.place() == (2, 0)
    assert "metrics.jsonl cannot be written (No space left on device)" in caplog.text
    assert len(scene.tracker.rows) == 2
    scene.step(3, 1)
    scene.recorder.checkpoint(scene.state)
    assert [line["epoch"] for line in scene.lines()] == [1, 2]
    assert scene.place() == (3, 1)


@pytest.mark.parametrize("full", ["best.pt", "last.pt"])
def test_a_best_that_had_to_wait_is_written_with_the_weights_of_its_epoch(scene, disk, full):
    scene.epoch(0.1)
    disk.full = {full}
    scene.epoch(0.9)
    scene.epoch(0.2)
    assert scene.place() == (2, 0)
    assert scene.saved("best.pt")["weight"].item() == (1 if full == "best.pt" else 2)
    disk.full = set()
    scene.step(4, 1)
    scene.recorder.checkpoint(scene.state)
    assert scene.saved("best.pt")["weight"].item() == 2
    assert scene.place("best.pt") == (3, 0) and scene.place() == (4, 1)
    assert scene.saved("best.pt")["records"]["metrics.jsonl"].count("\n") == 2


def test_of_two_that_had_to_wait_the_better_is_written(scene, disk):
    disk.full = {"best.pt", "last.pt"}
    for score in (0.1, 0.2):
        scene.epoch(score)
    disk.full = set()
    scene.epoch(0.15)
    assert disk.written == ["best.pt", "last.pt"]
    assert scene.saved("best.pt")["weight"].item() == 2 and scene.place() == (4, 0)


def test_a_failing_disk_is_told_once_and_so_is_its_return(scene, disk, caplog):
    caplog.set_level(logging.INFO)
    scene.epoch(0.1)
    last = scene.folder.checkpoints / "last.pt"
    for _ in range(2):
        caplog.clear()
        disk.full = {"last.pt"}
        before = scene.recorder.last_checkpoint()
        for _ in range(3):
            scene.epoch(0.1)
        (record,) = caplog.records
        assert record.getMessage() == (
            "the checkpoint cannot be written (No space left on device); the run goes on and "
            f"tries again, the last good checkpoint: {before}"
        )
        assert before.startswith(f"{last}, after epoch")
        disk.full = set()
        scene.epoch(0.1)
        scene.epoch(0.1)
        assert [record.getMessage() for record in caplog.records[1:]] == [
            f"the disk takes it again: {last}, after epoch {scene.state.epoch - 2}"
        ]


def test_the_end_is_an_error_as_long_as_a_record_is_missing(scene, disk):
    scene.epoch(0.1)
    scene.recorder.close()
    disk.full = {"last.pt"}
    scene.epoch(0.2)
    path = scene.folder.path
    wanted = (
        f"{path} does not take the end of this run .No space left on device.; the last good "
        f"checkpoint: {path / 'checkpoints' / 'last.pt'}, after epoch 1.*runner resume={path}"
    )
    with pytest.raises(RunnerError, match=wanted):
        scene.recorder.close()
    disk.full = set()
    scene.recorder.checkpoint(scene.state)
    scene.recorder.close()


def test_a_failed_checkpoint_is_tried_again_when_the_next_is_due(tmp_path, disk):
    scene = Scene(tmp_path / "run", checkpoint_steps=2)
    disk.full = {"last.pt"}
    due = []
    for step in range(1, 5):
        scene.step(1, step)
        due.append(scene.recorder.checkpoint_due())
        if due[-1]:
            scene.recorder.checkpoint(scene.state)
    assert due == [False, True, False, True]


def test_an_error_that_is_not_the_disks_ends_the_run(scene, monkeypatch):
    def broken(*arguments, **named):
        raise KeyError("a bug")

    monkeypatch.setattr(checkpoint, "write", broken)
    with pytest.raises(KeyError):
        scene.epoch(0.1)


@pytest.mark.parametrize(
    ("saved", "words"),
    [(None, "none"), ((3, 0), "after epoch 2"), ((3, 2), "in epoch 3 after step 2")],
)
def test_the_last_checkpoint_in_words(tmp_path, saved, words):
    scene = Scene(tmp_path / "run", saved=saved)
    last = scene.folder.checkpoints / "last.pt"
    assert scene.recorder.last_checkpoint() == (words if saved is None else f"{last}, {words}")
    scene.step(5, 1)
    scene.recorder.checkpoint(scene.state)
    assert scene.recorder.last_checkpoint() == f"{last}, in epoch 5 after step 1"


def test_a_step_that_is_not_finite_is_reported_in_a_file(scene):
    scene.epoch(0.1)
    scene.recorder.not_finite({"epoch": 2, "step": 3})
    report = read_json((scene.folder.path / "not_finite.json").read_text())
    assert report == {
        "epoch": 2,
        "step": 3,
        "last_checkpoint": f"{scene.folder.checkpoints / 'last.pt'}, after epoch 1",
    }


def test_a_report_that_cannot_be_written_ends_nothing(scene, monkeypatch, caplog):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(scene.folder, "write_json", full)
    scene.recorder.not_finite({"epoch": 2, "step": 3})
    assert "not_finite.json cannot be written (No space left on device)" in caplog.text


def open_recorder(folder, run, state, stop=lambda: False, saved=None):
    return RunRecorder(
        (folder, Kept(), Shown()),
        Watched(
            lambda now: checkpoint.snapshot(run, now, toy.FINGERPRINT),
            stop,
            lambda: 0.25,
            "mrr",
            None,
        ),
        run.settings,
        saved=saved,
    )


def rows(folder) -> list[dict]:
    lines = folder.metrics.read_text().splitlines()
    return [toy.without_seconds(json.loads(line)) for line in lines]


@pytest.mark.parametrize("steps", [2, 4, 6, 12])
def test_a_run_that_is_stopped_goes_on_from_its_folder(tmp_path, steps):
    """With the loop, on the toy: its records are those of the undisturbed run."""
    whole = RunFolder.claim(tmp_path / "whole", config={}, overrides=[], meta={})
    run, state = toy.build(), TrainingState()
    fit(run, state, open_recorder(whole, run, state), Ranks())

    folder = RunFolder.claim(tmp_path / "cut", config={}, overrides=[], meta={})
    run, state = toy.build(), TrainingState()
    recorder = open_recorder(
        folder, run, state, lambda: (state.epoch - 1) * 4 + state.step >= steps
    )
    with pytest.raises(Interrupted):
        fit(run, state, recorder, Ranks())
    with open(folder.metrics, "a") as file:
        file.write('{"epoch": 9}\n{"ep')  # as if it had been killed later
    again = RunFolder.reopen(folder.path)
    _, content = checkpoint.newest(again.checkpoints)
    again.take_records(content["records"])
    again.repair()
    run, state = toy.resumed(content)
    recorder = open_recorder(again, run, state, saved=(state.epoch, state.step))
    fit(run, state, recorder, Ranks())
    recorder.close()
    assert rows(again) == rows(whole) and len(rows(again)) == 3
    for name in ("last.pt", "best.pt"):
        mine, other = (checkpoint.read(one.checkpoints / name) for one in (again, whole))
        del mine["records"], other["records"]
        toy.assert_same(mine, other)
