"""Launch the unfinished jobs of a ledger until none is left, or none can be run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from runner.sweeps.ledger import ENDED, Job, Ledger

log = logging.getLogger(__name__)

_PATIENCE = 1.0  # seconds between two looks at the jobs of other processes


class Worker:
    """Runs the jobs of a ledger in one process of a sweep.

    Args:
        launch: runs some jobs and returns at their end; it may raise.
        retries: further attempts at a failed job.
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
        """The jobs to run that no process holds."""
        return [job for job in jobs if self._may_try(job) and not self.ledger.runner_of(job.job)]

    def work(self, propose: Callable[[list[Job]], list[Job]] | None) -> None:
        """Run all jobs, including jobs of other processes that die.

        Args:
            propose: adds further jobs to the existing ones; None for a complete list.
        """
        waits_for: set[int] = set()
        while True:
            jobs = self.ledger.change(propose) if propose else self.ledger.jobs()
            free = self.free(jobs)
            if free:
                self._run_jobs(free)
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

    def _run_jobs(self, jobs: Sequence[Job]) -> None:
        problem = self._try_to_launch(jobs)
        after = self.ledger.jobs()
        if any(after[job.job] != job or self.ledger.runner_of(job.job) for job in jobs):
            return
        # No job has begun: one of them, or the launcher itself, fails. Try each alone.
        if len(jobs) == 1:
            log.error("job %d: %s", jobs[0].job, problem)
            self.ledger.fail(jobs[0].job, f"hydra/launcher: {problem}")
        else:
            for job in jobs:
                self._run_jobs([job])

    def _try_to_launch(self, jobs: Sequence[Job]) -> str:
        """Launch jobs, and return the complaint of the launcher at their end."""
        try:
            self._launch(jobs)
        except Exception as error:  # of a killed worker, for one: the ledger has its job
            problem = str(error).strip().partition("\n")[0] or type(error).__name__
            log.warning("hydra/launcher: %s", problem)
            return problem
        return "it was not begun"
