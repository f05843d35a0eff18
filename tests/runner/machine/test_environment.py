from __future__ import annotations

import os

import pytest

from runner import __main__ as command
from runner.machine.environment import prepare_environment

NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_waiting_threads_give_up_soon_unless_told_otherwise(monkeypatch, given, expected):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    prepare_environment()
    assert os.environ.get("GOMP_SPINCOUNT") == expected


def test_the_command_runs_in_the_process_and_the_memory_that_it_was_given(monkeypatch):
    before, seen = os.environ.get("GLIBC_TUNABLES"), []
    monkeypatch.setattr("runner.cli.main.main", lambda: seen.append(os.environ.copy()))
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("the process replaces itself"))
    monkeypatch.setattr("sys.argv", ["runner"])
    command.main()
    assert seen[0].get("GLIBC_TUNABLES") == before
    assert "OMP_WAIT_POLICY" in seen[0] or "GOMP_SPINCOUNT" in seen[0]
