"""Real processes that are asked to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.runner.experiment.test_resume import SETTING, curve

from runner.machine.signals import StopOnSignals, guest

pytestmark = pytest.mark.soak

# `runner` whose 15th step takes a minute or so, in one native call: Python's handlers wait for it.
SLOW = """
import hashlib
from runner.cli import main as cli
from runner.training import loop as train
step, done = train.train_step, iter(range(10**9))
def slow(*arguments):
    if next(done) == 14:
        print("slow", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)
    return step(*arguments)
train.train_step = slow
cli.main()
"""


@pytest.fixture
def started(tmp_path, grace):
    """A run that is within its slow step."""
    command = [sys.executable, "-c", SLOW, *SETTING, "train.epochs=3", "hydra.run.dir=run"]
    with subprocess.Popen(
        [*command, f"train.grace_seconds={grace}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        while process.stdout.readline() not in ("slow\n", ""):
            pass
        yield process
        process.kill()


def ended(process, run: Path) -> str:
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert json.loads((run / "status.json").read_text())["status"] == "interrupted"
    return out


@pytest.mark.command
@pytest.mark.parametrize("grace", [1])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_step_longer_than_the_grace_is_not_waited_for(runner, tmp_path, started, number):
    began = time.monotonic()
    started.send_signal(number)
    out = ended(started, tmp_path / "run")
    assert time.monotonic() - began > 1
    assert f"{number.name}: the run stops after this step, or in 1 seconds at the latest" in out
    assert out.endswith(f"stopped; go on with: runner resume={tmp_path / 'run'}\n")
    code, _, err = runner(f"resume={tmp_path / 'run'}")
    assert code == 0, err
    assert [dict(row)["epoch"] for row in curve(tmp_path / "run")] == [1, 2, 3]


@pytest.mark.command
@pytest.mark.parametrize("grace", [3600])
def test_a_second_sigint_waits_for_nothing(tmp_path, started):
    for _ in range(2):
        started.send_signal(signal.SIGINT)
        time.sleep(0.2)
    ended(started, tmp_path / "run")


def test_a_launchers_warning_is_passed_on_once_the_run_is_saved():
    handled = []

    def queue_again(number, frame):
        handled.append(number)
        raise SystemExit(-1)

    before = signal.signal(signal.SIGUSR2, queue_again)
    try:
        with pytest.raises(SystemExit), StopOnSignals(grace_seconds=60, give_up=None) as stop:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert stop.requested and handled == []
        assert handled == [signal.SIGUSR2] and signal.getsignal(signal.SIGUSR2) is queue_again
        with StopOnSignals(grace_seconds=60, give_up=None) as stop:
            assert not stop.requested
        assert len(handled) == 1
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_callers_process_is_never_ended_but_interrupted_by_the_second_signal():
    ended = []
    with (
        guest(),
        pytest.raises(KeyboardInterrupt),
        StopOnSignals(grace_seconds=0.01, give_up=lambda: ended.append(True)) as stop,
    ):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        assert stop.requested and not ended
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    assert not ended
    with StopOnSignals(grace_seconds=0.01, give_up=lambda: ended.append(True)):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
    assert ended  # the process is the run's own
