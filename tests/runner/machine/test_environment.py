from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from runner import __main__ as command
from runner.machine import environment
from runner.machine.environment import prepare_environment

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


@pytest.mark.parametrize(
    ("started", "argv", "alone"),
    [
        (["python", "-m", "runner", "a=b"], ["/lib/runner/__main__.py", "a=b"], True),
        (["python", "-u", "-m", "runner"], ["/lib/runner/__main__.py"], True),
        (["python", "/bin/runner", "a=b"], ["/bin/runner", "a=b"], True),
        (["python", "-m", "pdb", "-m", "runner", "a=b"], ["/lib/runner/__main__.py", "a=b"], False),
        (["python", "-m", "memray", "run", "-m", "runner"], ["/lib/runner/__main__.py"], False),
        (["python", "debugpy", "/bin/runner", "a=b"], ["/bin/runner", "a=b"], False),
        (["python", "-c", "main()", "a=b"], ["-c", "a=b"], False),
        (["python", "-mpdb", "-m", "runner"], ["/lib/runner/__main__.py"], False),
        (["python", "-mcProfile", "/bin/runner"], ["/bin/runner"], False),
        (["python", "my.py", "a=b"], ["my.py", "a=b"], False),
        (["python", "-"], ["-"], False),
        (["/bin/runner", "a=b"], ["/bin/runner", "a=b"], False),
        (["jupyter"], ["jupyter", "kernel.json"], False),
        (["python", "-Xrunner_anew", "-m", "runner"], ["/lib/runner/__main__.py"], False),
    ],
)
def test_only_the_command_itself_begins_anew(set_to, monkeypatch, started, argv, alone):
    class Replaced(Exception):
        pass

    def execv(path, arguments):
        raise Replaced(path, arguments)

    set_to()
    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "orig_argv", started)
    monkeypatch.setattr(sys, "argv", argv)
    options = {option[2:]: True for option in started if option.startswith("-X")}
    monkeypatch.setattr(sys, "_xoptions", options)
    ran = []
    monkeypatch.setattr("runner.cli.main.main", lambda: ran.append(True))
    if alone:
        with pytest.raises(Replaced) as replaced:
            command.main()
        arguments = [sys.executable, "-Xrunner_anew", *started[1:]]
        assert replaced.value.args == (sys.executable, arguments)
    else:
        command.main()
    assert bool(ran) == (not alone)


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_the_command_runs_where_it_cannot_begin_anew(set_to, monkeypatch, error):
    def execv(path, arguments):
        raise error

    set_to()
    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "runner"])
    monkeypatch.setattr(sys, "argv", ["/lib/runner/__main__.py"])
    ran = []
    monkeypatch.setattr("runner.cli.main.main", lambda: ran.append(True))
    command.main()
    assert ran


BEGUN = """
import sys
from pathlib import Path
import runner.cli.main
runner.cli.main.main = lambda: print(Path("/proc/self/environ").read_text(), sys.argv[1:])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the tunables are glibc's")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("start", [["-m", "runner"], [str(Path(sys.executable).parent / "runner")]])
def test_a_process_begins_with_its_environment(tmp_path, start):
    (tmp_path / "sitecustomize.py").write_text(BEGUN)
    bare = {name: value for name, value in os.environ.items() if name not in NAMES}
    shown = subprocess.run(
        [sys.executable, *start, "a=b"],
        capture_output=True,
        text=True,
        env={**bare, "PYTHONPATH": str(tmp_path)},
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    for tunable in WANTED.split(":"):
        assert tunable in shown.stdout
    assert "['a=b']" in shown.stdout
