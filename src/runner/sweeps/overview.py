"""What a sweep says of itself while it runs, and at its end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from runner.errors import RunnerError
from runner.sweeps.ledger import ENDED, Job, Ledger


@contextmanager
def overview(ledger: Ledger, *, seconds: float = 1.0) -> Iterator[None]:
    """Print a line whenever a job has ended, whoever has run it, inside the `with`."""
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(ledger, over, seconds), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(ledger: Ledger, over: threading.Event, seconds: float) -> None:
    began, before = time.monotonic(), _ended(_jobs(ledger))
    told = before
    while not over.wait(seconds):
        jobs = _jobs(ledger)
        if _ended(jobs) != told and len(jobs) > 1:
            told = _ended(jobs)
            print(_line(jobs, told - before, time.monotonic() - began), flush=True)


def _line(jobs: Sequence[Job], done_here: int, seconds: float) -> str:
    states = Counter(job.state for job in jobs)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    parts = [f"sweep  {counts}"]
    best = best_of(jobs)
    if best is not None and best.result is not None:
        result = best.result
        parts.append(f"best {result['metric']} {100 * result['valid']:.2f} % (job {best.job})")
    if done_here > 0:
        left = sum(job.state in ("pending", "running", "interrupted") for job in jobs)
        parts.append(f"ETA {timedelta(seconds=round(seconds / done_here * left))}")
    return "  ".join(parts)


def best_of(jobs: Sequence[Job]) -> Job | None:
    """The job with the best validation metric; None where they have no metric in common."""
    done = [job for job in jobs if job.state == "done" and job.result]
    if len({job.result["metric"] for job in done if job.result}) != 1:
        return None
    return max(done, key=lambda job: job.result["valid"] if job.result else 0.0)


def show(ledger: Ledger) -> bool:
    """Print what became of each job; whether any has failed."""
    from rich.console import Console

    from runner.report import sweep_table

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
        "overrides": [f"{key}={_rounded(value)}" for key, value in job.parameters.items()],
        # A killed process has left "running" behind.
        "status": "interrupted" if job.state == "running" and not runner_of else job.state,
        "folder": folder,
        "result": job.result,
        "error": job.error,
    }


def _rounded(value: str) -> str:
    """A searched number as a table shows it."""
    try:
        return f"{float(value):.4g}" if "." in value else value
    except ValueError:
        return value


def _jobs(ledger: Ledger) -> list[Job]:
    try:
        return ledger.jobs()
    except (OSError, RunnerError):
        return []


def _ended(jobs: Sequence[Job]) -> int:
    return sum(job.state in (*ENDED, "failed") for job in jobs)
