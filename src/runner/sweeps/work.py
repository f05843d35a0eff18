"""Launch what a ledger says is missing, until nothing is, or nothing more can be done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from runner.sweeps.ledger import ENDED, Job, Ledger

log = logging.getLogger(__name__)

_PATIENCE = 1.0  # seconds between two looks at jobs that others are running


class Worker:
    """One process's work at a ledger.

    Args:
        launch: runs some jobs, and comes back when they are over; it may raise.
        retries: further attempts at a job that fails.
    """

    def __init__(
        self, ledger: Ledger, launch: Callable[[Sequence[Job]], None], *, retries: int
    ) -> None:
        self.ledger = ledger
        self._launch = launch
        self._retries = retries
        self._before = ledger.jobs() if ledger.exists() else []
        self._attempts = {job.job: job.attempts for job in self._before}

    def free(self, jobs: Sequence[Job]) -> list[Job]:
        """Those that are to be done and that no process is at."""
        return [job for job in jobs if self._may_try(job) and not self.ledger.runner_of(job.job)]

    def work(self, propose: Callable[[list[Job]], list[Job]] | None) -> None:
        """Do all jobs, those included that other processes begin and lose.

        Args:
            propose: adds further jobs to those that are there; None where all are.
        """
        waits_for: set[int] = set()
        while True:
            jobs = self.ledger.change(propose) if propose else self.ledger.jobs()
            free = self.free(jobs)
            if free:
                self._do(free)
                continue
            unfinished = (job.job for job in jobs if job.state not in ENDED)
            held = {number: self.ledger.runner_of(number) for number in unfinished}
            others = {number: who for number, who in held.items() if who}
            if not others:
                if jobs == self._before:
                    print("this sweep is finished; none of its jobs is done again")
                return
            for number, who in others.items():
                if number not in waits_for:
                    log.info("waits for job %d, which %s is running", number, who)
            waits_for |= set(others)
            time.sleep(_PATIENCE)

    def _may_try(self, job: Job) -> bool:
        tried = job.attempts - self._attempts.get(job.job, 0)
        return job.state not in ENDED and tried <= self._retries

    def _do(self, jobs: Sequence[Job]) -> None:
        problem = self._launched(jobs)
        after = self.ledger.jobs()
        if any(after[job.job] != job or self.ledger.runner_of(job.job) for job in jobs):
            return
        # None has begun: one of them, or the launcher as such, is in the others' way.
        if len(jobs) == 1:
            log.error("job %d: %s", jobs[0].job, problem)
            self.ledger.fail(jobs[0].job, f"hydra/launcher: {problem}")
        else:
            for job in jobs:
                self._do([job])

    def _launched(self, jobs: Sequence[Job]) -> str:
        """Launch jobs; what the launcher complains of, once they are over."""
        try:
            self._launch(jobs)
        except Exception as error:  # as of a worker that was killed: the ledger knows its job
            problem = str(error).strip().partition("\n")[0] or type(error).__name__
            log.warning("hydra/launcher: %s", problem)
            return problem
        return "it was not begun"
