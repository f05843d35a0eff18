import errno
import fcntl
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runner.storage.workshop import locked, workshop


def test_a_workshop_leaves_only_what_is_moved_out_of_it(tmp_path):
    final = tmp_path / "deep" / "made"
    with workshop(final) as working:
        assert working.parent == final.parent and list(working.iterdir()) == []
        (working / "new").mkdir()
        (working / "rest").touch()
        (working / "new").rename(final)
    assert list(final.parent.iterdir()) == [final]


def test_a_workshop_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), workshop(tmp_path / "deep" / "made") as working:
        (working / "half").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError), workshop(tmp_path / "file" / "made"):
        pass


def python(program: str, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


STUCK = """
import sys, time
from pathlib import Path
from runner.storage.workshop import workshop
with workshop(Path(sys.argv[1])) as working:
    (working / "half").touch()
    print("in", flush=True)
    time.sleep(60)
"""


@pytest.mark.command
def test_what_a_killed_process_has_left_is_no_obstacle(tmp_path):
    final = tmp_path / "made"
    with python(STUCK, final) as process:
        assert process.stdout.readline() == "in\n"
        process.send_signal(signal.SIGKILL)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2 and ".made.lock" in left
    with workshop(final) as working:
        assert list(working.iterdir()) == []
        assert {path.name for path in tmp_path.iterdir()} == {".made.lock", working.name}
    assert list(tmp_path.iterdir()) == []


ONCE = """
import sys, time
from pathlib import Path
from runner.storage.workshop import workshop
final, log = map(Path, sys.argv[1:])
print("ready", flush=True)
time.sleep(max(0, float(sys.stdin.readline()) - time.time()))
with workshop(final) as working:
    with open(log, "a") as file:
        file.write("in ")
    if not final.exists():
        with open(log, "a") as file:
            file.write("make ")
        time.sleep(0.2)
        (working / "new").touch()
        (working / "new").rename(final)
    with open(log, "a") as file:
        file.write("out ")
"""


@pytest.mark.command
def test_of_many_processes_one_makes_it_and_the_others_wait(tmp_path):
    (tmp_path / "place").mkdir()
    log = tmp_path / "log"
    command = [sys.executable, "-c", ONCE, str(tmp_path / "place" / "made"), str(log)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(8)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    start = time.time() + 0.2
    for process in processes:
        process.communicate(f"{start}\n")
    assert [process.returncode for process in processes] == [0] * 8
    assert log.read_text() == "in make out " + "in out " * 7
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["made"]


@pytest.mark.command
def test_who_waited_for_a_lock_file_that_is_gone_waits_for_the_new_one(tmp_path):
    path, entered = tmp_path / "lock", threading.Event()

    def enter():
        with locked(path):
            entered.set()

    with open(path, "a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.2)
        path.unlink()
        newcomer = open(path, "a")  # noqa: SIM115
        fcntl.flock(newcomer, fcntl.LOCK_EX)
    assert not entered.wait(0.2)
    newcomer.close()
    assert entered.wait(10)
    thread.join()


def test_without_locks_it_goes_on_and_leaves_the_others_alone(tmp_path, monkeypatch, caplog):
    def unknown(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    others = tmp_path / ".made.making-other"
    others.mkdir()
    with caplog.at_level(logging.DEBUG), workshop(tmp_path / "made") as working:
        assert working.is_dir() and others.is_dir()
    ours = [record for record in caplog.records if record.name.startswith("runner")]
    assert [record.levelname for record in ours] == ["DEBUG"] and "cannot be locked" in caplog.text
    assert list(tmp_path.iterdir()) == [others]


@pytest.mark.parametrize("step", ["before the file is made", "before it is locked"])
def test_the_last_to_leave_may_remove_the_folder_that_another_enters(tmp_path, monkeypatch, step):
    path, removed = tmp_path / "deep" / "lock", []
    touch = Path.touch

    def late(file):
        if step == "before it is locked":
            touch(file)
        if not removed:
            removed.append(file)
            shutil.rmtree(file.parent)
        if step == "before the file is made":
            touch(file)

    monkeypatch.setattr(Path, "touch", late)
    with locked(path) as alone:
        assert alone and path.exists()
    assert removed
