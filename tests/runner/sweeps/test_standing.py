"""What a ledger says of a sweep: as numbers, as a line, and as a panel."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from rich.console import Console

from runner.storage.locks import held
from runner.sweeps.ledger import Job, Ledger
from runner.sweeps.panel import panel
from runner.sweeps.standing import Standing, Watch


def result(valid: float, metric: str = "hits@100") -> dict[str, object]:
    return {"metric": metric, "valid": valid, "test": 0.1, "best_epoch": 1, "seconds": 1.0}


def minute_ago() -> str:
    began = datetime.now(timezone.utc) - timedelta(seconds=60)
    return began.isoformat(timespec="seconds")


@pytest.fixture
def ledger(tmp_path):
    """Two jobs are done, one failed, one runs, one was killed, and two are to come."""
    ledger = Ledger(tmp_path)
    jobs = [
        Job(0, {"model": "gae", "lr": "0.0123456"}, "done", result=result(0.5)),
        Job(1, {"model": "[ncn]", "lr": "1"}, "done", result=result(0.75)),
        Job(2, {"model": "gae", "lr": "2"}, "failed", error="no such option"),
        Job(3, {"model": "gae", "lr": "3"}, "running", began=minute_ago()),
        Job(4, {"model": "gae", "lr": "4"}, "running", began=minute_ago()),
        Job(5, {"model": "gae", "lr": "5"}),
        Job(6, {"model": "gae", "lr": "6"}, "interrupted"),
    ]
    ledger.change(lambda _: jobs)
    (tmp_path / ".locks").mkdir()
    with held(tmp_path / ".locks" / "3"):
        yield ledger


def text(standing: Standing, width: int = 70) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(panel(standing))
    return [line.strip("│╭╮╰╯─ ") for line in console.file.getvalue().splitlines()]


def test_the_panel_has_counts_the_bar_the_best_job_the_time_left_and_what_runs(ledger):
    standing = replace(Watch(ledger)(), ended_here=2, seconds=120)
    title, bar, counts, best, running, end = text(standing)
    assert title == f"sweep {ledger.folder.name}" and end == ""
    assert bar.startswith("━") and bar.endswith("3/7  ETA 0:04:00")
    assert counts == "2 done, 1 running, 1 failed, 3 pending"
    assert best == "best     job 1  hits@100 75.00 %  model=[ncn] lr=1"
    assert running.startswith("running  job 3  0:01:0") and running.endswith("model=gae lr=3")


def test_a_resumed_sweep_begins_with_what_is_done_and_no_guess(ledger):
    standing = Watch(ledger)()
    assert (standing.ended, standing.ended_here, standing.seconds_left) == (3, 0, None)
    assert "3/7  ETA -:--:--" in text(standing)[1]


def test_what_ends_while_it_is_watched_tells_the_time_left(ledger):
    watch = Watch(ledger, trials=10)
    ledger.fail(5, "out of memory")
    standing = watch()
    assert (standing.ended, standing.ended_here, standing.total) == (4, 1, 10)
    assert standing.counts["pending"] == 10 - 4 - 1
    assert standing.seconds_left == pytest.approx(6 * standing.seconds)


def test_the_line_has_states_the_best_job_and_the_time_left(ledger):
    standing = replace(Watch(ledger)(), ended_here=1, seconds=60)
    assert standing.line() == (
        "sweep  2 done, 1 failed, 2 running, 1 pending, 1 interrupted  "
        "best hits@100 75.00 % (job 1)  ETA 0:04:00"
    )


def test_of_different_metrics_none_is_the_best(ledger):
    jobs = ledger.jobs()
    other = replace(jobs[0], result=result(0.9, "mrr"))
    assert "best" not in Standing("s", [other, *jobs[1:]], {3}, 7).line()


def test_of_many_running_jobs_some_are_listed_and_narrow_ones_cut():
    jobs = [Job(n, {"model": "gae", "lr": "1" * 60}, "running") for n in range(20)]
    lines = text(Standing("s", jobs, range(20), 20), width=40)
    assert sum("job" in line for line in lines) == 8 and "… and 12 more" in lines
    assert all(line.endswith("…") for line in lines if "job" in line)


def test_a_ledger_that_cannot_be_read_is_no_error(ledger):
    watch = Watch(ledger)
    ledger.path.write_text("{")
    assert watch().jobs == [] and text(watch())[2] == "0 done, 0 running, 0 failed, 0 pending"
