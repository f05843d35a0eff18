"""The standing of a sweep: a line for each job that ends, and a bar on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.storage.locks import held
from runner.sweeps.ledger import Job, Ledger
from runner.sweeps.overview import overview

_RUN = """
import logging, os, signal, subprocess, sys, time
from contextlib import suppress
from pathlib import Path
from runner.sweeps.ledger import Job, Ledger
from runner.sweeps.overview import overview
ledger = Ledger(Path("sweep-1"))
logging.basicConfig(stream=sys.stdout, level="INFO", format="log %(message)s")
with suppress(KeyboardInterrupt), overview(ledger, redraw={redraw}, seconds=0.05):
    print("mine", os.isatty(1))
    logging.info("line")
    subprocess.run([sys.executable, "-c", "import os; print('theirs', os.isatty(1), os.isatty(2))"])
    time.sleep(0.3)
    ledger.fail(1, "no\\n  way")
    {then}
    Path("past").touch()
    time.sleep(0.6)
    print("last", end="")
print("after", os.isatty(1), os.isatty(2))
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Job 0 is done, job 1 is to be run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep-1").mkdir()
    ledger = Ledger(tmp_path / "sweep-1")
    ledger.change(lambda _: [Job(0, {"seed": "0"}, "done"), Job(1, {"seed": "1"})])
    return ledger


def result(valid: float, metric: str = "hits@100") -> dict[str, object]:
    return {"metric": metric, "valid": valid, "test": 0.1, "best_epoch": 1, "seconds": 1.0}


def on_a_terminal(*, redraw: bool = True, then: str = "", close: bool = False) -> str:
    """The output of the script on its terminal, which goes away early with `close`."""
    ours, theirs = pty.openpty()
    code = _RUN.format(redraw=redraw, then=then)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 1 << 16):
            written += piece
            if close and b"mine" in written:
                break
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    process.wait(timeout=60)
    return written.decode().replace("\r", "")


def plain(written: str) -> list[str]:
    written = written.replace("\x1b[2K", "\n")  # what is erased was a line
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).split("\n")


def printed(ledger: Ledger, capsys: pytest.CaptureFixture[str], *ended: Job) -> list[str]:
    """The lines of an overview during which the jobs end."""
    with overview(ledger, seconds=60):
        jobs = {job.job: job for job in (*ledger.jobs(), *ended)}
        ledger.change(lambda _: list(jobs.values()))
    return capsys.readouterr().out.splitlines()


def test_each_job_that_ends_is_a_line(sweep, capsys):
    jobs = [
        Job(1, {"model": "[ncn]", "lr": "0.0123456"}, "done", result=result(0.5)),
        Job(2, {"seed": "2"}, "failed", error="no\n  way"),
        Job(3, {"seed": "3"}, "pruned", result=result(0.25)),
        Job(4, {"seed": "4"}, "interrupted"),
        Job(5, {"seed": "5"}),
    ]
    lines = [re.sub(r"ETA [-0-9:]+", "ETA", line) for line in printed(sweep, capsys, *jobs)]
    assert lines == [
        "job 1  model=[ncn]  lr=0.01235  done  hits@100 50.00 %  (4/6 jobs, ETA)",
        "job 2  seed=2  failed  no way  (4/6 jobs, ETA)",
        "job 3  seed=3  pruned  hits@100 25.00 %  (4/6 jobs, ETA)",
    ]


def test_a_line_does_not_wait_for_the_end_of_the_sweep(sweep, capsys):
    with overview(sweep, seconds=0.01):
        sweep.fail(1, "no")
        deadline = time.monotonic() + 10
        while not (out := capsys.readouterr().out) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert out.startswith("job 1  seed=1  failed  no") and out.count("\n") == 1


def test_a_failed_job_that_fails_again_is_a_line_again(sweep, capsys):
    sweep.fail(1, "no")
    assert printed(sweep, capsys) == []
    again = Job(1, {"seed": "1"}, "failed", error="no", attempts=2)
    assert len(printed(sweep, capsys, again)) == 1


def test_the_time_left_is_that_of_jobs_that_ended_meanwhile(sweep, capsys):
    with overview(sweep, trials=10, seconds=0.05):
        time.sleep(1)
        sweep.fail(1, "no")
    found = re.search(r"\(2/10 jobs, ETA 0:00:(\d\d)\)", capsys.readouterr().out)
    assert 8 <= int(found[1]) <= 20  # 1 s for this one, and 8 to come


def test_a_ledger_that_cannot_be_read_is_no_error(sweep, capsys):
    with overview(sweep, seconds=0.01):
        text = sweep.path.read_text()
        sweep.path.write_text("{")
        time.sleep(0.2)
        sweep.path.write_text(text)
        time.sleep(0.2)
    assert capsys.readouterr().out == ""


@pytest.mark.command
def test_on_a_terminal_a_bar_is_redrawn_below_what_is_printed(sweep):
    written = on_a_terminal()
    lines = plain(written)
    shown = "\n".join(lines)
    assert re.search(r"1/2 jobs [━╺]+ ETA -:--:--\n1 done, 1 pending", shown)
    assert re.search(r"2/2 jobs [━╺]+ ETA 0:00:00\n1 done, 1 failed", shown)
    assert lines.count("job 1  seed=1  failed  no way  (2/2 jobs, ETA 0:00:00)") == 1
    told = [line for line in lines if re.match("mine|log|theirs|last|after", line)]
    assert told == ["mine False", "log line", "last", "after True True"]
    (output,) = Path("sweep-1").glob("output-*.log")
    assert output.read_text() == "theirs False False\n"
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # the cursor is there


@pytest.mark.command
def test_the_bar_counts_killed_jobs_and_names_the_best(sweep):
    jobs = [
        Job(0, {"seed": "0"}, "done", result=result(0.5)),
        Job(1, {"seed": "1"}),
        Job(2, {"seed": "2"}, "running"),
        Job(3, {"seed": "3"}, "running"),
        Job(4, {"seed": "4"}, "done", result=result(0.75)),
    ]
    sweep.change(lambda _: jobs)
    (sweep.folder / ".locks").mkdir()
    with held(sweep.folder / ".locks" / "2"):
        shown = "\n".join(plain(on_a_terminal()))
    assert "2 done, 1 failed, 1 running, 1 interrupted  best hits@100 75.00 % (job 4)" in shown
    sweep.change(lambda _: [*jobs[:4], Job(4, {}, "done", result=result(0.9, "mrr"))])
    assert "best" not in "\n".join(plain(on_a_terminal()))  # they have no metric in common


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
    then = "time.sleep(0.5); print('y' * 100000); subprocess.run(['echo', 'x'], check=True)"
    on_a_terminal(then=then, close=True)
    assert sweep.jobs()[1].state == "failed" and Path("past").exists()


@pytest.mark.command
def test_runs_with_a_display_of_their_own_keep_the_terminal(sweep):
    lines = plain(on_a_terminal(redraw=False))
    assert lines[:3] == ["mine True", "log line", "theirs True True"]
    assert any(line.startswith("job 1  seed=1  failed  no way") for line in lines)
    assert not any("━" in line for line in lines)
