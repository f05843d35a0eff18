"""The output of a sweep: a line for each job that ends, a bar, a table at the end."""

from __future__ import annotations

import os
import platform
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError
from runner.sweeps.ledger import ENDED, Job, Ledger
from runner.terminal.console import lenient_console, terminal_kept

if TYPE_CHECKING:
    from runner.terminal.bar import Bar


@contextmanager
def overview(
    ledger: Ledger, *, trials: int | None = None, redraw: bool = True, seconds: float = 1.0
) -> Iterator[None]:
    """Print a line for each job that ends inside the `with`, in this process or another.

    Args:
        trials: final number of jobs of a search.
        redraw: on a terminal, also draw a bar, and send the output of the jobs to a file.
        seconds: pause between two looks at the ledger.
    """
    from runner.terminal.bar import Bar, drawn

    console = lenient_console()
    jobs = _read(ledger)
    bar = Bar(console, total=max(len(jobs), trials or 0), completed=len(_ended(jobs)))
    watch = _Watch(ledger, jobs, bar)
    over = threading.Event()
    thread = threading.Thread(target=watch.until, args=(over, seconds), daemon=True)
    with ExitStack() as during:
        if redraw and console.is_interactive and os.isatty(1):
            output = ledger.folder / f"output-{platform.node()}.log"  # hosts cannot share a file
            during.enter_context(drawn(bar))
            during.enter_context(terminal_kept(console, output))
            print(f"output of the jobs: {output}")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class _Watch:
    """Reads a ledger periodically, updates a bar, and prints the jobs that have ended."""

    def __init__(self, ledger: Ledger, jobs: Sequence[Job], bar: Bar) -> None:
        self._ledger = ledger
        self._printed = _ended(jobs)
        self._bar = bar
        self._move(jobs)

    def until(self, over: threading.Event, seconds: float) -> None:
        is_over = False
        while not is_over:
            is_over = over.wait(seconds)
            jobs = _read(self._ledger)
            if jobs:
                self._move(jobs)
                self._print(_ended(jobs))

    def _move(self, jobs: Sequence[Job]) -> None:
        total = max(len(jobs), int(self._bar.task.total or 0))
        ended = len(_ended(jobs))
        states = Counter(_status(job, self._ledger) for job in jobs)
        best = _best(jobs)
        self._bar.update(self._bar.task.id, total=total, completed=ended)
        self._bar.show(
            f"{ended}/{total} jobs",
            ", ".join(f"{count} {state}" for state, count in states.items())
            + (f"  best {_score(best)} (job {best.job})" if best else ""),
        )

    def _print(self, ended: dict[int, Job]) -> None:
        for number, job in ended.items():
            if job != self._printed.get(number):
                outcome = " ".join(job.error.split()) if job.error else _score(job)
                standing = f"({self._bar.task.description}, {self._bar.time_left})"
                parts = [f"job {number}", *_overrides(job), job.state, outcome, standing]
                with suppress(OSError):
                    print("  ".join(filter(None, parts)), flush=True)
        self._printed = ended


def show(ledger: Ledger) -> bool:
    """Print a table of all jobs; return whether any has failed or is unfinished."""
    from runner.terminal.tables import sweep_table

    jobs = ledger.jobs()
    sweep_table([_row(job, ledger) for job in jobs], lenient_console())
    is_unfinished = any(job.state not in ENDED for job in jobs)
    if is_unfinished:
        print(f"go on with: runner -m resume={ledger.folder}")
    else:
        print(f"finished    {ledger.folder}")
    return is_unfinished


def _row(job: Job, ledger: Ledger) -> dict[str, Any]:
    return {
        "job": job.job,
        "overrides": _overrides(job),
        "status": _status(job, ledger),
        "folder": None if job.folder is None else str(ledger.folder / job.folder),
        "result": job.result,
        "error": job.error,
    }


def _read(ledger: Ledger) -> list[Job]:
    """All jobs; an empty list while the ledger cannot be read."""
    with suppress(OSError, RunnerError):
        return ledger.jobs()
    return []


def _ended(jobs: Sequence[Job]) -> dict[int, Job]:
    return {job.job: job for job in jobs if job.state in (*ENDED, "failed")}


def _status(job: Job, ledger: Ledger) -> str:
    # A killed process leaves the state "running".
    is_killed = job.state == "running" and not ledger.runner_of(job.job)
    return "interrupted" if is_killed else job.state


def _best(jobs: Sequence[Job]) -> Job | None:
    """The job with the best validation metric; None if the jobs have different metrics."""
    results = {job.job: job.result for job in jobs if job.state == "done" and job.result}
    if len({result["metric"] for result in results.values()}) != 1:
        return None
    return jobs[max(results, key=lambda number: results[number]["valid"])]


def _score(job: Job) -> str:
    return f"{job.result['metric']} {100 * job.result['valid']:.2f} %" if job.result else ""


def _overrides(job: Job) -> list[str]:
    return [f"{key}={_rounded(value)}" for key, value in job.parameters.items()]


def _rounded(value: str) -> str:
    """A searched number, rounded for a table."""
    try:
        return f"{float(value):.4g}" if "." in value else value
    except ValueError:
        return value
