"""The ledger of a sweep: one line a job, kept so that no kill loses a finished job.

Any number of processes, on any hosts that share the file system, work off one ledger: each change
is made under a lock and takes the file's place as a whole, and a job that is being run is locked
by the process that runs it, so that a killed one is free again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from runner.errors import Interrupted, Pruned, RunnerError
from runner.records.folder import now
from runner.storage.files import atomic
from runner.storage.locks import alone, held, holder_of

State = Literal["pending", "running", "done", "failed", "interrupted", "pruned"]
ENDED = ("done", "pruned")

NAME = "ledger.jsonl"
_LOCKS = ".locks"


@dataclass(frozen=True)
class Job:
    """A line of the ledger.

    Attributes:
        parameters: the swept keys and their values, as typed.
        folder: of its run, relative to the sweep's; None until it was begun.
        attempts: how often it was begun.
        result: of a finished job: metric, valid and test (in [0, 1], at the best epoch),
            best_epoch, seconds; of a pruned one metric and valid, so far.
        error: of a failed one, in one sentence.
    """

    job: int
    parameters: dict[str, str]
    state: State = "pending"
    folder: str | None = None
    attempts: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None
    began: str | None = None
    ended: str | None = None


class Ledger:
    """The jobs of the sweep in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME

    def exists(self) -> bool:
        return self.path.is_file()

    def jobs(self) -> list[Job]:
        """All jobs, by number.

        Raises:
            RunnerError: if a line is damaged, naming the remedy.
        """
        found = []
        for number, line in enumerate(self.path.read_text().splitlines()):
            try:
                job = Job(**json.loads(line))
                if job.job != number:
                    raise ValueError("the lines are not in order")
            except (ValueError, TypeError) as error:
                raise RunnerError(
                    f"{self.path}, line {number + 1}: damaged ({error}); delete the file and "
                    f"resume: runner -m resume={self.folder}, which makes it anew from the runs"
                ) from None
            found.append(job)
        return found

    def change(self, function: Callable[[list[Job]], Sequence[Job]]) -> list[Job]:
        """Replace the jobs by what `function` makes of them, alone with the file; the new ones."""
        with alone(self.folder / f".{NAME}.lock"):
            before = self.jobs() if self.exists() else []
            after = list(function(before))
            if after != before or not self.exists():
                text = "".join(json.dumps(asdict(job)) + "\n" for job in after)
                with atomic(self.path) as temporary:
                    temporary.write_text(text)
        return after

    def runner_of(self, number: int) -> str | None:
        """Who is running a job, in words; None if nobody is."""
        return holder_of(self.folder / _LOCKS / str(number))

    @contextmanager
    def attempt(self, number: int, folder: Path) -> Iterator[Attempt | None]:
        """Run a job inside the `with`, alone; its end is written down, whatever it is.

        None where it is done already.

        Raises:
            Held: if another process is running it.
        """
        locks = self.folder / _LOCKS
        locks.mkdir(exist_ok=True)
        with held(locks / str(number)):
            job = self.jobs()[number]
            if job.state in ENDED:
                yield None
                return
            with suppress(ValueError):  # hydra.sweep.subdir may lead out of the sweep's folder
                folder = folder.relative_to(self.folder)
            self._set(
                number, state="running", folder=str(folder), attempts=job.attempts + 1, error=None,
                began=now(), ended=None,
            )  # fmt: skip
            attempt = Attempt()
            state: State = "interrupted"
            error_text = None
            try:
                yield attempt
                state = "done"
            except Pruned:
                state = "pruned"
                raise
            except (KeyboardInterrupt, Interrupted, SystemExit):
                raise
            except BaseException as error:
                state, error_text = "failed", str(error) or type(error).__name__
                raise
            finally:
                self._set(number, state=state, result=attempt.result, error=error_text, ended=now())

    def fail(self, number: int, error: str) -> None:
        """Write down that a job could not even begin."""
        attempts = self.jobs()[number].attempts + 1
        self._set(number, state="failed", error=error, attempts=attempts, ended=now())

    def _set(self, number: int, **changes: Any) -> None:
        self.change(
            lambda jobs: [replace(job, **changes) if job.job == number else job for job in jobs]
        )


class Attempt:
    """What the run of a job tells; `result` as in `Job`."""

    result: dict[str, Any] | None = None
