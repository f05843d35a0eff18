"""Where a sweep's standing is told: lines in a log, a display on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.sweeps.ledger import Job, Ledger
from runner.sweeps.overview import overview

_RUN = """
import os, signal, subprocess, sys, time
from contextlib import suppress
from pathlib import Path
from runner.sweeps.ledger import Job, Ledger
from runner.sweeps.overview import overview
ledger = Ledger(Path("sweep-1"))
with suppress(KeyboardInterrupt), overview(ledger, redraw={redraw}, seconds=0.05):
    print("mine", os.isatty(1))
    subprocess.run([sys.executable, "-c", "import os; print('theirs', os.isatty(1), os.isatty(2))"])
    time.sleep(0.3)
    ledger.fail(1, "no")
    {then}
    Path("past").touch()
    time.sleep(0.3)
    print("last", end="")
print("after", os.isatty(1), os.isatty(2))
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep-1").mkdir()
    ledger = Ledger(tmp_path / "sweep-1")
    ledger.change(lambda _: [Job(0, {"seed": "0"}, "done"), Job(1, {"seed": "1"})])
    return ledger


def on_a_terminal(*, redraw: bool = True, then: str = "", close: bool = False) -> str:
    """What the script writes to its terminal, which with `close` goes away."""
    ours, theirs = pty.openpty()
    code = _RUN.format(redraw=redraw, then=then)
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 1 << 16):
            written += piece
            if close and b"sweep-1" in written:
                break
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    process.wait(timeout=60)
    return written.decode().replace("\r", "")


def plain(written: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).split("\n")


def test_without_a_terminal_a_line_is_printed_when_a_job_has_ended(sweep, capsys):
    with overview(sweep, seconds=0.01):
        sweep.fail(1, "no")
        for _ in range(100):
            if out := capsys.readouterr().out:
                break
            subprocess.run(["sleep", "0.05"], check=True)
    assert out.startswith("sweep  1 done, 1 failed  ETA 0:00:00") and out.count("\n") == 1
    assert "\x1b" not in out


@pytest.mark.command
def test_on_a_terminal_a_display_is_redrawn_below_what_is_printed(sweep):
    written = on_a_terminal()
    lines = plain(written)
    shown = "\n".join(lines)
    assert "1 done, 0 running, 0 failed, 1 pending" in shown
    assert "1 done, 0 running, 1 failed, 0 pending" in shown
    assert not any(line.startswith("sweep  ") for line in lines)
    told = re.findall(r"\b(?:mine|theirs|last|after)\b.*", shown)
    assert told == ["mine False", "theirs False False", "last", "after True True"]
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # the cursor is there


@pytest.mark.command
def test_an_interrupt_gives_the_terminal_back(sweep):
    heeded = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # not so in a shell's "&"
    written = on_a_terminal(then=f"{heeded}; os.kill(os.getpid(), signal.SIGINT)")
    assert plain(written)[-2:] == ["after True True", ""] and "last" not in written


@pytest.mark.command
def test_a_killed_process_leaves_the_cursor(sweep):
    written = on_a_terminal(then="os.kill(os.getpid(), signal.SIGKILL)")
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


@pytest.mark.command
def test_a_terminal_that_goes_away_is_no_error(sweep):
    on_a_terminal(then="subprocess.run('yes | head -c 200000', shell=True, check=True)", close=True)
    assert sweep.jobs()[1].state == "failed" and Path("past").exists()


@pytest.mark.command
def test_runs_with_a_display_of_their_own_keep_the_terminal(sweep):
    lines = plain(on_a_terminal(redraw=False))
    assert lines[:2] == ["mine True", "theirs True True"]
    assert any(line.startswith("sweep  1 done, 1 failed") for line in lines)
