import errno
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from runner.errors import RunnerError
from runner.storage import locks as run_lock
from runner.storage.locks import is_locked, locked

HOLD = """
import sys, time
from pathlib import Path
from runner.storage.locks import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has the lock of tmp_path."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.mark.command
def test_the_second_is_refused_with_the_first_ones_pid_and_host(tmp_path, holder):
    words = f"process {holder.pid} on {socket.gethostname()}"
    with pytest.raises(RunnerError, match=f"{words} is running it"), locked(tmp_path):
        raise AssertionError("both have it")
    assert is_locked(tmp_path) == words


@pytest.mark.command
def test_a_killed_holder_is_none_and_is_named(tmp_path, holder, caplog):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert is_locked(tmp_path) is None
    with locked(tmp_path):
        pass
    assert f"process {holder.pid} on {socket.gethostname()} has left this run" in caplog.text


def test_one_that_leaves_in_order_leaves_no_name(tmp_path, caplog):
    for _ in range(2):
        with locked(tmp_path):
            assert is_locked(tmp_path) == f"process {os.getpid()} on {socket.gethostname()}"
    assert is_locked(tmp_path) is None and caplog.text == ""


@pytest.fixture
def without_locks(monkeypatch):
    def flock(*arguments):
        raise OSError("no locks here")

    monkeypatch.setattr(run_lock.fcntl, "flock", flock)


@pytest.mark.command
def test_without_locks_a_living_holder_counts_and_a_dead_one_does_not(
    tmp_path, holder, without_locks
):
    refused = pytest.raises(RunnerError, match=r"if it is dead, delete .*\.lock.* is running it")
    with refused, locked(tmp_path):
        raise AssertionError("both have it")
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        pass


def test_without_locks_nobody_knows_whether_another_machine_is_alive(tmp_path, without_locks):
    (tmp_path / ".lock").write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    with pytest.raises(RunnerError, match="process 1 on elsewhere"), locked(tmp_path):
        raise AssertionError("both have it")
    assert is_locked(tmp_path) == "process 1 on elsewhere"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(RunnerError, match=r"\.lock cannot be written"), locked(tmp_path / "none"):
        raise AssertionError


def test_one_that_only_looks_is_in_nobodys_way(tmp_path, monkeypatch):
    """Even if it looks at the very moment of the locking."""
    flock, looks = run_lock.fcntl.flock, iter([True, True])

    def busy(file, how):
        if how & run_lock.fcntl.LOCK_EX and next(looks, False):
            raise BlockingIOError(errno.EAGAIN, "busy")
        flock(file, how)

    monkeypatch.setattr(run_lock.fcntl, "flock", busy)
    with locked(tmp_path):
        pass
