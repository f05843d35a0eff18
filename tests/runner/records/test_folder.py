import json
import logging
import random
import threading
import zipfile
from contextlib import suppress

import pytest
import yaml

from runner.config.aliases import modernise
from runner.errors import Interrupted, RunnerError
from runner.records import folder as run_folder
from runner.records.folder import RunFolder
from runner.storage.seal import Damaged, read_json, seal_archive

CONFIG = {"train": {"epochs": 3}, "clip": None}


def claim(path):
    return RunFolder.claim(path, config=CONFIG, overrides=["train.epochs=3"], meta={"git": None})


def test_a_folder_is_claimed_once(tmp_path):
    claim(tmp_path / "run")
    with pytest.raises(RunnerError, match=r"already holds a run.*runner resume="):
        claim(tmp_path / "run")


@pytest.mark.parametrize("links", [True, False])
def test_of_parallel_claims_one_wins(tmp_path, monkeypatch, links):
    """With hard links, and on a file system that knows none."""
    if not links:

        def link(*arguments):
            raise OSError("no links here")

        monkeypatch.setattr(run_folder.os, "link", link)
    wins, losses = [], []

    def attempt():
        try:
            wins.append(claim(tmp_path / "run"))
        except RunnerError:
            losses.append(1)

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(wins), len(losses)) == (1, 15)
    assert RunFolder.reopen(tmp_path / "run").meta()["run_id"] == wins[0].meta()["run_id"]


def test_an_unwritable_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunnerError, match=r"hydra\.run\.dir=.*cannot be written"):
        claim(tmp_path / "file" / "run")


def test_a_start_that_was_killed_before_its_claim_is_in_nobodys_way(tmp_path):
    (tmp_path / ".config.yaml.abc").write_text("half")
    assert claim(tmp_path).config() == modernise(CONFIG)


def test_records_round_trip(tmp_path):
    folder = claim(tmp_path / "run")
    again = RunFolder.reopen(tmp_path / "run")
    assert again.config() == modernise(CONFIG)
    assert yaml.safe_load((folder.path / "overrides.yaml").read_text()) == ["train.epochs=3"]
    assert again.meta()["resumes"] == [] and len(again.meta()["run_id"]) == 8
    folder.status("failed", "why")
    status = read_json((folder.path / "status.json").read_text())
    assert (status["status"], status["error"]) == ("failed", "why")


def with_epochs(folder, count):
    for epoch in range(1, count + 1):
        folder.append_metrics({"epoch": epoch, "loss": 0.5})


def epochs(folder):
    return [json.loads(line)["epoch"] for line in folder.metrics.read_text().splitlines()]


def test_metrics_after_the_checkpoint_and_a_torn_line_are_dropped(tmp_path):
    folder = claim(tmp_path / "run")
    with_epochs(folder, 2)
    records = folder.records()
    folder.append_metrics({"epoch": 3, "loss": 0.5})
    with open(folder.metrics, "a") as file:
        file.write('{"epoch": 4, "lo')
    again = RunFolder.reopen(folder.path)
    again.take_records(records)
    again.repair()
    assert epochs(again) == [1, 2]
    again.append_metrics({"epoch": 3})
    assert epochs(again) == [1, 2, 3]


@pytest.mark.parametrize("name", ["config.yaml", "overrides.yaml", "meta.json", "metrics.jsonl"])
@pytest.mark.parametrize("damage", ["truncated", "a bit flipped", "missing"])
def test_damaged_records_are_named_and_written_again(tmp_path, caplog, name, damage):
    folder = claim(tmp_path / "run")
    with_epochs(folder, 3)
    records = folder.records()
    whole = (folder.path / name).read_bytes()
    draw = random.Random(name)
    for _ in range(1 if damage == "missing" else 20):
        broken = bytearray(whole)
        if damage == "truncated":
            del broken[draw.randrange(len(broken)) :]
        else:
            broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        (folder.path / name).write_bytes(broken)
        if damage == "missing":
            (folder.path / name).unlink()
        caplog.clear()
        again = RunFolder.reopen(folder.path)
        again.take_records(records)
        again.repair()
        assert f"{folder.path / name} was damaged; it is written again" in caplog.text
        assert (folder.path / name).read_bytes() == whole
        assert again.config() == modernise(CONFIG)


def test_a_damaged_status_is_named(tmp_path, caplog):
    folder = claim(tmp_path / "run")
    (folder.path / "status.json").write_text('{"status": "done"}')
    folder.repair()
    assert f"{folder.path / 'status.json'} was damaged" in caplog.text


def test_an_intact_folder_is_left_as_it_is(tmp_path, caplog):
    folder = claim(tmp_path / "run")
    with_epochs(folder, 2)
    again = RunFolder.reopen(folder.path)
    again.take_records(folder.records())
    before = {path: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    again.repair()
    assert before == {path: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    assert caplog.text == ""


def test_what_a_kill_has_left_half_written_is_removed(tmp_path):
    folder = claim(tmp_path / "run")
    left = [
        folder.path / ".meta.json.ab_1cd2e",
        folder.checkpoints / ".last.pt.12345678",
        folder.checkpoints / ".last.pt.link",
    ]
    theirs = [folder.path / name for name in (".lock", ".notes", ".nfs0000000012345678")]
    for path in (*left, *theirs, folder.checkpoints / "last.pt"):
        path.write_text("half")
    folder.repair()
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in (*theirs, folder.checkpoints / "last.pt"))


def test_a_claim_that_fails_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    def full(self, meta):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_meta", full)
        with pytest.raises(RunnerError, match=r"cannot be written \(No space"):
            claim(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
    claim(tmp_path / "run")


def test_metrics_that_somebody_has_removed_are_written_anew(tmp_path):
    folder = claim(tmp_path / "run")
    with_epochs(folder, 2)
    folder.metrics.unlink()
    folder.append_metrics({"epoch": 3})
    assert epochs(folder) == [1, 2, 3]


def test_a_meta_that_has_grown_after_the_checkpoint_counts(tmp_path):
    folder = claim(tmp_path / "run")
    records = folder.records()
    folder.write_meta({**folder.meta(), "resumes": [{"overrides": ["train.epochs=9"]}]})
    again = RunFolder.reopen(folder.path)
    again.take_records(records)
    assert len(again.meta()["resumes"]) == 1


def test_without_a_checkpoint_a_damaged_config_is_one_sentence(tmp_path):
    folder = claim(tmp_path / "run")
    (folder.path / "config.yaml").write_text("train: {epochs: 3}")
    with pytest.raises(Damaged, match=r"config\.yaml is damaged or missing.*start the run anew"):
        RunFolder.reopen(folder.path).start_over({})


def test_without_a_checkpoint_what_a_kill_has_not_let_be_written_is_made(tmp_path):
    folder = claim(tmp_path / "run")
    for name in ("meta.json", "overrides.yaml", "status.json", "metrics.jsonl"):
        (folder.path / name).unlink()
    folder.checkpoints.rmdir()
    again = RunFolder.reopen(folder.path)
    again.start_over({"git": "abc"})
    again.repair()
    assert again.meta()["git"] == "abc" and again.checkpoints.is_dir()
    again.append_metrics({"epoch": 1})
    assert epochs(again) == [1]


def test_metrics_that_could_not_be_written_are_with_the_next(tmp_path, monkeypatch):
    folder = claim(tmp_path / "run")
    with_epochs(folder, 1)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            folder.append_metrics({"epoch": 2})
    assert epochs(folder) == [1]  # no torn line, nor one that is taken for written
    folder.append_metrics({"epoch": 3})
    assert epochs(folder) == [1, 2, 3]


def test_log_holds_messages_and_the_traceback(tmp_path):
    folder = claim(tmp_path / "run")
    with pytest.raises(ZeroDivisionError), folder.logging():
        logging.getLogger("runner").warning("on the way")
        _ = 1 / 0
    text = folder.log.read_text()
    assert "on the way" in text and "Traceback" in text and "ZeroDivisionError" in text


def test_reopen_wants_a_run(tmp_path):
    with pytest.raises(RunnerError, match="no such folder"):
        RunFolder.reopen(tmp_path / "nothing")
    with pytest.raises(RunnerError, match="not a run folder"):
        RunFolder.reopen(tmp_path)


@pytest.mark.parametrize("intact", ["status.json", "checkpoints/last-1.pt", None])
def test_reopen_wants_a_file_that_a_run_has_written(tmp_path, intact):
    claim(tmp_path / "run")
    seal_archive(_archive(tmp_path / "run" / "checkpoints" / "last-1.pt"))
    for path in (tmp_path / "run").rglob("*.*"):
        if path.is_file() and path != tmp_path / "run" / str(intact):
            path.write_bytes(b"junk")
    if intact is None:
        with pytest.raises(RunnerError, match=r"resume=.*not a run folder"):
            RunFolder.reopen(tmp_path / "run")
    else:
        RunFolder.reopen(tmp_path / "run")


def _archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    return path


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("precious: 1")
    with pytest.raises(RunnerError, match="is not empty"):
        claim(tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "precious: 1"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "done"),
        (Interrupted(), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (RunnerError("why"), "failed"),
    ],
)
def test_the_status_says_how_it_ended(tmp_path, error, status):
    folder = claim(tmp_path / "run")
    with suppress(BaseException), folder.recording_status():
        assert json.loads((folder.path / "status.json").read_text())["status"] == "running"
        if error is not None:
            raise error
    found = json.loads((folder.path / "status.json").read_text())
    assert found["status"] == status and found["error"] == ("why" if status == "failed" else None)


def test_a_status_that_cannot_be_written_hides_no_error(tmp_path, monkeypatch):
    folder = claim(tmp_path / "run")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with pytest.raises(RunnerError, match="the cause"), folder.recording_status():
        monkeypatch.setattr(folder, "write_json", full)
        raise RunnerError("the cause")
