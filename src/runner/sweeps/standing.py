"""How a sweep stands at a moment, by its ledger."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from runner.errors import RunnerError
from runner.sweeps.ledger import ENDED, Job, Ledger


@dataclass(frozen=True)
class Standing:
    """What the ledger says, and for how long it has been watched.

    Attributes:
        held: numbers of the jobs that a process is at; another one that says running was killed.
        total: jobs that there will be; a search adds them one by one.
        ended_here: how many have ended while it was watched.
        seconds: that it has been watched.
    """

    name: str
    jobs: Sequence[Job]
    held: Collection[int]
    total: int
    ended_here: int = 0
    seconds: float = 0.0

    @property
    def running(self) -> list[Job]:
        return [job for job in self.jobs if job.state == "running" and job.job in self.held]

    @property
    def ended(self) -> int:
        """Jobs that are done, pruned or failed."""
        return ended(self.jobs)

    @property
    def counts(self) -> dict[str, int]:
        """Jobs by state: what is neither ended nor running is pending."""
        states = Counter(job.state for job in self.jobs)
        counts = {"done": states["done"], "pruned": states["pruned"], "running": len(self.running)}
        counts |= {"failed": states["failed"], "pending": 0}
        counts["pending"] = self.total - sum(counts.values())
        return counts

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the jobs that have ended while it was watched; None before the first."""
        if not self.ended_here:
            return None
        return self.seconds / self.ended_here * (self.total - self.ended)

    def line(self) -> str:
        states = Counter(job.state for job in self.jobs)
        parts = ["sweep  " + ", ".join(f"{count} {state}" for state, count in states.items())]
        best = best_of(self.jobs)
        if best is not None:
            parts.append(f"best {score(best)} (job {best.job})")
        if self.seconds_left is not None:
            parts.append(f"ETA {duration(self.seconds_left)}")
        return "  ".join(parts)


class Watch:
    """Looks at a ledger time and again.

    Args:
        trials: of a search, in total.
    """

    def __init__(self, ledger: Ledger, *, trials: int | None = None) -> None:
        self._ledger = ledger
        self._trials = trials or 0
        self._began = time.monotonic()
        self._before = ended(self._jobs())

    def __call__(self) -> Standing:
        jobs = self._jobs()
        at_it = [job.job for job in jobs if job.state == "running"]
        return Standing(
            name=self._ledger.folder.name,
            jobs=jobs,
            held={number for number in at_it if self._ledger.runner_of(number)},
            total=max(len(jobs), self._trials),
            ended_here=max(ended(jobs) - self._before, 0),
            seconds=time.monotonic() - self._began,
        )

    def _jobs(self) -> list[Job]:
        with suppress(OSError, RunnerError):
            return self._ledger.jobs()
        return []


def ended(jobs: Sequence[Job]) -> int:
    return sum(job.state in (*ENDED, "failed") for job in jobs)


def best_of(jobs: Sequence[Job]) -> Job | None:
    """The job with the best validation metric; None where they have no metric in common."""
    done = [job for job in jobs if job.state == "done" and job.result]
    if len({job.result["metric"] for job in done if job.result}) != 1:
        return None
    return max(done, key=lambda job: job.result["valid"] if job.result else 0.0)


def score(job: Job) -> str:
    """The validation metric of a job that has a result."""
    assert job.result is not None
    return f"{job.result['metric']} {100 * job.result['valid']:.2f} %"


def overrides(job: Job) -> list[str]:
    return [f"{key}={_rounded(value)}" for key, value in job.parameters.items()]


def duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _rounded(value: str) -> str:
    """A searched number as a table shows it."""
    try:
        return f"{float(value):.4g}" if "." in value else value
    except ValueError:
        return value
