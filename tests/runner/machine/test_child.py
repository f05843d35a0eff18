import os
import signal
import time

import pytest

from runner.errors import RunnerError
from runner.machine.child import call_in_child

pytestmark = pytest.mark.command


def echo(*words):
    return " ".join(words).encode()


def nothing():
    return None


def fail():
    raise ZeroDivisionError("two\nlines")


def tell():
    raise RunnerError("key=value: a remedy")


def full():
    raise OSError(28, "No space left on device")


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def hang():
    time.sleep(60)


def read_stdin():
    return str(len(os.read(0, 1))).encode()


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The child finds modules where this process finds them."""
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    for function in (echo, nothing, fail, tell, full, crash, killed, hang, read_stdin):
        monkeypatch.setattr(function, "__module__", "test_child")


def test_it_returns_the_bytes():
    assert call_in_child(echo, "a b", "é") == "a b é".encode()
    assert call_in_child(nothing) == b""


def test_nobody_can_be_asked():
    assert call_in_child(read_stdin) == b"0"


@pytest.mark.parametrize(
    ("function", "kind", "text"),
    [
        (fail, ValueError, "^two lines$"),
        (tell, RunnerError, "^key=value: a remedy$"),
        (full, ValueError, "^No space left on device$"),
        (crash, ValueError, "crashed: Segmentation fault"),
        (killed, MemoryError, "was killed, often for want of memory"),
    ],
)
def test_its_end_is_one_error(function, kind, text):
    with pytest.raises(kind, match=text):
        call_in_child(function)


def test_one_that_hangs_is_ended():
    begin = time.monotonic()
    with pytest.raises(ValueError, match="could not be read in 1 seconds"):
        call_in_child(hang, seconds=1)
    assert time.monotonic() - begin < 20


def test_the_working_folder_hides_no_module(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('hidden')")
    (tmp_path / "runner.py").write_text("raise SystemExit('hidden')")
    monkeypatch.chdir(tmp_path)
    assert call_in_child(echo, "found") == b"found"
