import json
import logging
import os
import threading
from contextlib import suppress

import pytest

from runner.errors import Interrupted, RunnerError
from runner.run_folder import RunFolder, atomic, discard_empty, existing


def test_a_folder_is_claimed_once(tmp_path):
    RunFolder.claim(tmp_path / "run")
    with pytest.raises(RunnerError, match=r"already holds a run.*runner resume="):
        RunFolder.claim(tmp_path / "run")


def test_of_parallel_claims_one_wins(tmp_path):
    wins, losses = [], []

    def claim():
        try:
            wins.append(RunFolder.claim(tmp_path / "run"))
        except RunnerError:
            losses.append(1)

    threads = [threading.Thread(target=claim) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(wins), len(losses)) == (1, 15)


def test_an_unwritable_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunnerError, match=r"hydra\.run\.dir=.*cannot be written"):
        RunFolder.claim(tmp_path / "file" / "run")


def test_records_round_trip(tmp_path):
    folder = RunFolder.claim(tmp_path / "run")
    folder.start({"train": {"epochs": 3}, "clip": None}, ["train.epochs=3"], {"git": None})
    assert folder.config() == {"train": {"epochs": 3}, "clip": None}
    meta = folder.meta()
    assert meta["resumes"] == [] and len(meta["run_id"]) == 8
    folder.status("failed", "why")
    status = json.loads((folder.path / "status.json").read_text())
    assert (status["status"], status["error"]) == ("failed", "why")


def test_metrics_after_the_checkpoint_and_a_torn_line_are_dropped(tmp_path):
    folder = RunFolder.claim(tmp_path / "run")
    for epoch in (1, 2, 3):
        folder.append_metrics({"epoch": epoch, "loss": 0.5})
    with open(folder.metrics, "a") as file:
        file.write('{"epoch": 4, "lo')
    folder.drop_metrics_after(2)
    rows = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]


def test_atomic_keeps_the_old_file_when_writing_fails(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(OSError, match="disk"), atomic(target) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_log_holds_messages_and_the_traceback(tmp_path):
    folder = RunFolder.claim(tmp_path / "run")
    with pytest.raises(ZeroDivisionError), folder.logging():
        logging.getLogger("runner").warning("on the way")
        _ = 1 / 0
    text = folder.log.read_text()
    assert "on the way" in text and "Traceback" in text and "ZeroDivisionError" in text


def test_reopen_wants_a_run_with_a_checkpoint(tmp_path):
    with pytest.raises(RunnerError, match="no such folder"):
        RunFolder.reopen(tmp_path / "nothing")
    with pytest.raises(RunnerError, match="not a run folder"):
        RunFolder.reopen(tmp_path)
    folder = RunFolder.claim(tmp_path / "run")
    folder.start({}, [], {})
    with pytest.raises(RunnerError, match=r"no checkpoints/last\.pt"):
        RunFolder.reopen(tmp_path / "run")


def test_discard_empty_leaves_what_holds_something(tmp_path):
    (tmp_path / "keep").write_text("")
    (tmp_path / "a" / "b").mkdir(parents=True)
    discard_empty(tmp_path / "a" / "b", keep=[])
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


def test_discard_empty_leaves_what_was_there_before(tmp_path):
    (tmp_path / "theirs").mkdir()
    before = existing(tmp_path / "theirs" / "ours")
    (tmp_path / "theirs" / "ours").mkdir()
    discard_empty(tmp_path / "theirs" / "ours", keep=before)
    assert [path.name for path in tmp_path.rglob("*")] == ["theirs"]


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("precious: 1")
    with pytest.raises(RunnerError, match="is not empty"):
        RunFolder.claim(tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "precious: 1"


def test_two_do_not_write_to_one_folder(tmp_path):
    folder = RunFolder.claim(tmp_path / "run")
    folder.status("running")
    refused = pytest.raises(RunnerError, match=rf"process {os.getpid()} on .* is running it")
    with folder.locked(), refused, folder.locked():
        raise AssertionError("both have it")
    with folder.locked():
        pass


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
    folder = RunFolder.claim(tmp_path / "run")
    with suppress(BaseException), folder.recording_status():
        assert json.loads((folder.path / "status.json").read_text())["status"] == "running"
        if error is not None:
            raise error
    found = json.loads((folder.path / "status.json").read_text())
    assert found["status"] == status and found["error"] == ("why" if status == "failed" else None)
