from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runner import __main__ as command
from runner import environment
from runner.environment import prepare_environment

WANTED = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"
NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "GLIBC_TUNABLES")


@pytest.fixture
def set_to(monkeypatch):
    """Only these of the variables, and no others afterwards."""

    def set_to(**given):
        for name in NAMES:
            monkeypatch.setenv(name, "")  # so that it is restored
            monkeypatch.delenv(name)
        for name, value in given.items():
            monkeypatch.setenv(name, value)

    monkeypatch.setattr(environment, "_is_glibc", lambda: True)
    return set_to


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_waiting_threads_give_up_soon_unless_told_otherwise(set_to, given, expected):
    set_to(**given)
    prepare_environment()
    assert os.environ.get("GOMP_SPINCOUNT") == expected


@pytest.mark.parametrize(
    ("given", "expected", "anew"),
    [
        ("", WANTED, True),
        (WANTED, WANTED, False),
        ("glibc.malloc.tcache_count=3", "glibc.malloc.tcache_count=3:glibc.malloc.mxfast=0", True),
        ("glibc.malloc.check=1", f"glibc.malloc.check=1:{WANTED}", True),
    ],
)
def test_what_users_tune_stays(set_to, given, expected, anew):
    set_to(GLIBC_TUNABLES=given)
    assert prepare_environment() == anew
    assert os.environ["GLIBC_TUNABLES"] == expected
    assert not prepare_environment()


def test_other_libraries_have_nothing_to_begin_with(set_to, monkeypatch):
    set_to()
    monkeypatch.setattr(environment, "_is_glibc", lambda: False)
    assert not prepare_environment()
    assert "GLIBC_TUNABLES" not in os.environ


@pytest.mark.parametrize("debugged", [False, True])
def test_the_command_begins_anew_unless_a_debugger_would_lose_it(set_to, monkeypatch, debugged):
    class Replaced(Exception):
        pass

    def execv(path, arguments):
        raise Replaced(path, arguments)

    set_to()
    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", "-m", "runner", "a=b"])
    monkeypatch.setattr(sys, "gettrace", lambda: debugged or None)
    ran = []
    monkeypatch.setattr("runner.cli.main", lambda: ran.append(True))
    if debugged:
        command.main()
    else:
        with pytest.raises(Replaced) as replaced:
            command.main()
        arguments = [sys.executable, "-X", "dev", "-m", "runner", "a=b"]
        assert replaced.value.args == (sys.executable, arguments)
    assert bool(ran) == debugged


def test_the_command_answers_without_its_environment():
    bare = {name: value for name, value in os.environ.items() if name not in NAMES}
    shown = subprocess.run(
        [sys.executable, "-m", "runner", "model=nosuch"], capture_output=True, text=True, env=bare
    )
    assert shown.returncode == 1
    assert "nosuch" in shown.stderr
