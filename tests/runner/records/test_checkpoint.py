"""Checkpoints: what goes in comes out, and what is damaged does not."""

from __future__ import annotations

import copy
import errno
import logging
import os
import random
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from tests.runner import toy
from torch.optim.lr_scheduler import ExponentialLR

from runner.errors import Interrupted, RunnerError
from runner.records import checkpoint
from runner.records.checkpoint import FORMAT
from runner.storage.seal import Damaged, seal_archive
from runner.training.loop import fit
from runner.training.ranks import Ranks
from runner.training.state import TrainingState

SETTING = {"schedule": partial(ExponentialLR, gamma=0.5)}
OTHER = "b" * 64


def trained(stop_at: int = 14, **setting):
    """A run that was stopped in its second epoch, after its second step, and its state."""
    run, state = toy.build(**setting), TrainingState()
    with pytest.raises(Interrupted):
        fit(run, state, toy.Recording(run, stop_at=stop_at), Ranks())
    assert (state.epoch, state.step) == (2, stop_at - 10)
    return run, state


def content(number: int = 1, size: int = 20) -> dict:
    return {"format": FORMAT, "fingerprint": toy.FINGERPRINT, "x": torch.full((size,), number)}


def number_in(path) -> int:
    return int(checkpoint.read(path)["x"][0])


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def saved(tmp_path):
    """A checkpoint on the disk, of a real run."""
    run, state = trained(**SETTING)
    path = tmp_path / "last.pt"
    checkpoint.write(path, checkpoint.snapshot(run, state, toy.FINGERPRINT))
    return path


@pytest.mark.parametrize("setting", [{}, SETTING], ids=["no schedule", "schedule"])
def test_a_run_is_restored_to_the_bit(tmp_path, setting):
    run, state = trained(**setting)
    wanted = copy.deepcopy(checkpoint.snapshot(run, state, toy.FINGERPRINT))
    assert ("schedule" in wanted) == bool(setting)
    checkpoint.write(tmp_path / "last.pt", wanted)
    other = toy.build(**setting)
    for source in (other.generators.batches, other.generators.negatives, torch.default_generator):
        source.manual_seed(99)
    found = checkpoint.restore(checkpoint.read(tmp_path / "last.pt"), other)
    toy.assert_same(asdict(found), wanted["state"])
    assert found.seconds == state.seconds > 0 and found.epoch_seconds == state.epoch_seconds > 0
    again = checkpoint.snapshot(other, found, toy.FINGERPRINT)
    # The generators stand where the epoch's batches are drawn again.
    for name in ("batches", "negatives"):
        assert torch.equal(again["generators"][name], found.draws[name])
        assert not torch.equal(wanted["generators"][name], found.draws[name])
        wanted["generators"][name] = found.draws[name]
    toy.assert_same(again, wanted)


def test_it_holds_moments_generators_schedule_and_state():
    run, state = trained(**SETTING)
    held = checkpoint.snapshot(run, state, toy.FINGERPRINT)
    assert held["format"] == FORMAT and held["fingerprint"] == toy.FINGERPRINT
    assert {"step", "exp_avg", "exp_avg_sq"} <= held["optimizer"]["state"][0].keys()
    assert held["schedule"]["last_epoch"] == 1
    assert {"batches", "negatives", "dropout"} <= held["generators"].keys()
    assert torch.equal(
        held["model"]["predictor.seeded._extra_state"],
        run.model.predictor.seeded.generator.get_state(),
    )
    assert (held["state"]["epoch"], held["state"]["step"]) == (2, 4)
    assert held["state"]["best"]["epoch"] == 1 and held["state"]["loss_sum"] > 0


def test_a_snapshot_shares_the_weights_and_not_the_state():
    run, state = trained()
    held = checkpoint.snapshot(run, state, toy.FINGERPRINT)
    with torch.no_grad():
        run.model.predictor.linear.bias.fill_(7.0)
    state.best["valid"]["mrr"] = state.step = 9
    assert held["model"]["predictor.linear.bias"].item() == 7.0
    assert held["state"]["step"] == 4 and held["state"]["best"]["valid"]["mrr"] <= 1


def test_a_state_before_any_training_is_restored_too():
    run = toy.build()
    held = copy.deepcopy(checkpoint.snapshot(run, TrainingState(), toy.FINGERPRINT))
    other, state = toy.resumed(held)
    assert state == TrainingState()
    toy.assert_same(checkpoint.snapshot(other, state, toy.FINGERPRINT), held)


def test_weights_of_another_shape_are_refused(saved):
    other = toy.build(**SETTING)
    other.model.predictor.linear = torch.nn.Linear(5, 1)
    with pytest.raises(RuntimeError, match="size mismatch"):
        checkpoint.restore(checkpoint.read(saved), other)


def test_data_of_the_run_are_loaded_and_others_are_refused(saved):
    content = checkpoint.read(saved)
    checkpoint.check_data(content, saved, toy.FINGERPRINT)
    wanted = rf"last\.pt: the dataset has changed.*\(fingerprint {'a' * 12} then, {'b' * 12} now\)"
    with pytest.raises(RunnerError, match=wanted):
        checkpoint.check_data(content, saved, OTHER)


def test_any_flipped_bit_is_noticed(saved):
    whole, draw = saved.read_bytes(), random.Random(0)
    places = [0, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(60))]
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 1 << draw.randrange(8)
        saved.write_bytes(broken)
        with pytest.raises(Damaged, match=r"last\.pt: the checkpoint is damaged"):
            checkpoint.read(saved)
    saved.write_bytes(whole)
    checkpoint.read(saved)


def test_any_truncation_is_noticed_and_so_is_a_longer_file(saved):
    whole, draw = saved.read_bytes(), random.Random(0)
    lengths = [0, 1, 70, 71, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(40))]
    for broken in (*(whole[:length] for length in lengths), whole + b"\0"):
        saved.write_bytes(broken)
        with pytest.raises(Damaged):
            checkpoint.read(saved)


@pytest.mark.parametrize(
    ("given", "sealed"),
    [
        ({"format": FORMAT + 1, "fingerprint": ""}, True),
        ({"fingerprint": ""}, True),
        (["format"], True),
        ({"format": FORMAT, "fingerprint": "", "code": SimpleNamespace()}, True),
        ({"format": FORMAT, "fingerprint": ""}, False),
    ],
    ids=["other format", "no format", "no dict", "a class", "no seal"],
)
def test_what_is_no_checkpoint_of_a_run_is_refused(tmp_path, given, sealed):
    path = tmp_path / "last.pt"
    torch.save(given, path)
    if sealed:
        seal_archive(path)
    with pytest.raises(Damaged, match=f"{path}: the checkpoint is damaged or not one of ours"):
        checkpoint.read(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(RunnerError, match="No such file"):
        checkpoint.read(tmp_path / "last.pt")


def refuse(monkeypatch, target, name: str) -> None:
    def call(*arguments, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(target, name, call)


class Full:
    """A file on a disk that has room for 1000 bytes."""

    def __init__(self, path, mode: str) -> None:
        self.file, self.room = path.open(mode), 1000

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, content):
        self.room -= len(content)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(content)

    def flush(self):
        self.file.flush()


@pytest.mark.parametrize("keep", [None, 1, 2, 3])
@pytest.mark.parametrize("failing", ["write", "seal", "sync"])
def test_a_write_that_fails_leaves_the_earlier_files(tmp_path, monkeypatch, failing, keep):
    path = tmp_path / "last.pt"
    for number in (1, 2, 3):
        checkpoint.write(path, content(number), keep=3)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert sorted(before) == ["last-1.pt", "last-2.pt", "last.pt"]
    with monkeypatch.context() as patch:
        if failing == "write":
            patch.setattr(checkpoint, "open", Full, raising=False)
        else:
            refuse(patch, *((checkpoint, "seal_archive") if failing == "seal" else (os, "fsync")))
        with pytest.raises(OSError, match="No space left"):
            checkpoint.write(path, content(4, size=10_000), keep=keep)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    checkpoint.write(path, content(5), keep=keep)
    assert number_in(path) == 5


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_rename_that_fails_leaves_the_newest_to_go_on_from(tmp_path, monkeypatch, links):
    path = tmp_path / "last.pt"
    for number in (1, 2):
        checkpoint.write(path, content(number), keep=2)
    replace = os.replace

    def refused(source, target):
        if target == path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refused)
        if not links:
            refuse(patch, os, "link")
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                checkpoint.write(path, content(3), keep=2)
    _, found = checkpoint.newest(tmp_path)
    assert int(found["x"][0]) == 2
    assert not [name for name in names(tmp_path) if name.startswith(".")]
    checkpoint.write(path, content(4), keep=2)
    assert (number_in(path), names(tmp_path)) == (4, ["last-1.pt", "last.pt"])


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("keep", [1, 2, 4])
def test_so_many_are_kept_the_newest_first(tmp_path, monkeypatch, keep, links):
    if not links:
        refuse(monkeypatch, os, "link")
    path = tmp_path / "last.pt"
    for number in range(1, 7):
        checkpoint.write(path, content(number), keep=keep)
        kept = [path, *(tmp_path / f"last-{age}.pt" for age in range(1, min(keep, number)))]
        assert [number_in(one) for one in kept] == [number - age for age in range(len(kept))]
        assert names(tmp_path) == sorted(one.name for one in kept)


def test_fewer_may_be_kept_later_and_none_leaves_them_all(tmp_path):
    path = tmp_path / "last.pt"
    for number in range(1, 6):
        checkpoint.write(path, content(number), keep=4)
    checkpoint.write(path, content(6))
    assert [number_in(tmp_path / name) for name in names(tmp_path)] == [4, 3, 2, 6]
    checkpoint.write(path, content(7), keep=2)
    assert names(tmp_path) == ["last-1.pt", "last.pt"] and number_in(tmp_path / "last-1.pt") == 6


def test_the_newest_that_is_intact_is_found(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    assert checkpoint.newest(tmp_path) is None
    for number in range(1, 13):
        checkpoint.write(tmp_path / "last.pt", content(number), keep=12)
    checkpoint.write(tmp_path / "best.pt", content(99))
    checkpoint.write(tmp_path / "last-old.pt", content(77))
    ages = [tmp_path / "last.pt", *(tmp_path / f"last-{age}.pt" for age in range(1, 12))]
    expected = 12
    path, found = checkpoint.newest(tmp_path)
    assert (path, int(found["x"][0]), caplog.text) == (ages[0], 12, "")
    for damaged, following in pairwise(ages):  # 2 comes before 10
        damaged.write_bytes(damaged.read_bytes()[:-3])
        expected -= 1
        caplog.clear()
        path, found = checkpoint.newest(tmp_path)
        assert (path, int(found["x"][0])) == (following, expected)
        assert f"{damaged}: the checkpoint is damaged" in caplog.text
        assert f"resuming from {following} instead" in caplog.text
    ages[-1].unlink()
    assert checkpoint.newest(tmp_path)[0] == tmp_path / "last-old.pt"  # a name of somebody's own


def test_without_an_intact_one_the_newest_is_named(tmp_path):
    for number in (1, 2):
        checkpoint.write(tmp_path / "last.pt", content(number), keep=2)
    checkpoint.write(tmp_path / "best.pt", content(3))  # none to go on from
    for name in ("last.pt", "last-1.pt"):
        (tmp_path / name).write_bytes(b"junk")
    with pytest.raises(Damaged, match=r"/last\.pt: the checkpoint is damaged"):
        checkpoint.newest(tmp_path)


def test_a_missing_last_is_no_damage(tmp_path, caplog):
    for number in (1, 2):
        checkpoint.write(tmp_path / "last.pt", content(number), keep=2)
    (tmp_path / "last.pt").unlink()
    assert checkpoint.newest(tmp_path)[0] == tmp_path / "last-1.pt" and caplog.text == ""


def test_damaged_ones_are_set_aside_and_intact_ones_stay(tmp_path, caplog):
    for number in (1, 2, 3):
        checkpoint.write(tmp_path / "last.pt", content(number), keep=3)
    checkpoint.write(tmp_path / "best.pt", content(4))
    (tmp_path / "notes.txt").write_text("mine")
    for name in ("best.pt", "last-1.pt"):
        (tmp_path / name).write_bytes(name.encode())
    checkpoint.set_damaged_aside(tmp_path)
    assert names(tmp_path) == [
        "best.pt.damaged", "last-1.pt.damaged", "last-2.pt", "last.pt", "notes.txt"
    ]  # fmt: skip
    assert (tmp_path / "best.pt.damaged").read_bytes() == b"best.pt"
    assert f"{tmp_path / 'best.pt'} is damaged; it is kept as best.pt.damaged" in caplog.text
    assert [number_in(tmp_path / name) for name in ("last.pt", "last-2.pt")] == [3, 1]
    caplog.clear()
    checkpoint.set_damaged_aside(tmp_path)
    assert caplog.text == ""
