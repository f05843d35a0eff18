"""What a sweep says of itself while it runs, and at its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runner.sweeps.ledger import ENDED, Job, Ledger
from runner.sweeps.panel import panel
from runner.sweeps.standing import Watch, overrides
from runner.terminal.screen import drawn, is_terminal


@contextmanager
def overview(
    ledger: Ledger, *, trials: int | None = None, redraw: bool = True, seconds: float = 1.0
) -> Iterator[None]:
    """Tell inside the `with` how the sweep stands, whoever runs its jobs.

    Args:
        trials: of a search, in total.
        redraw: on a terminal, a panel; else, and elsewhere, a line whenever a job has ended.
    """
    watch = Watch(ledger, trials=trials)
    if redraw and is_terminal():
        with drawn(lambda: panel(watch()), seconds=seconds):
            yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_tell, args=(watch, over, seconds), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tell(watch: Watch, over: threading.Event, seconds: float) -> None:
    told = watch().ended
    while not over.wait(seconds):
        standing = watch()
        if standing.ended != told and standing.total > 1:
            told = standing.ended
            print(standing.line(), flush=True)


def show(ledger: Ledger) -> bool:
    """Print what became of each job; whether any has failed."""
    from rich.console import Console

    from runner.terminal.tables import sweep_table

    jobs = ledger.jobs()
    console = Console()
    sweep_table([_row(job, ledger) for job in jobs], console)
    failed = any(job.state == "failed" for job in jobs)
    open_ = [job for job in jobs if job.state not in ENDED]
    if open_:
        print(f"go on with: runner -m resume={ledger.folder}")
    else:
        print(f"finished    {ledger.folder}")
    return failed or bool(open_)


def _row(job: Job, ledger: Ledger) -> dict[str, Any]:
    folder = None if job.folder is None else str(ledger.folder / job.folder)
    runner_of = ledger.runner_of(job.job)
    return {
        "job": job.job,
        "overrides": overrides(job),
        # A killed process has left "running" behind.
        "status": "interrupted" if job.state == "running" and not runner_of else job.state,
        "folder": folder,
        "result": job.result,
        "error": job.error,
    }
