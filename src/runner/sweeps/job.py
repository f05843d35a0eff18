"""One job of a sweep, in the process that runs it: taken from the ledger, run, written down."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from runner.errors import Held, Pruned
from runner.experiment.find_runs import repeat_in
from runner.sweeps.definition import Definition
from runner.sweeps.ledger import Ledger
from runner.sweeps.study import Study

log = logging.getLogger(__name__)

JOB = "RUNNER_SWEEP_JOB"  # in a job's environment: its number

Judge = Callable[[int, str, float], None]
Find = Callable[[Mapping[str, Any], Path], Path | None]


class Run(Protocol):
    """Does the run of this job; its summary."""

    def __call__(self, *, find: Find, judge: Judge | None) -> dict[str, Any] | None: ...


def run_job(sweep: Path, output: Path, run: Run) -> None:
    """Do the job that the environment names, unless it is done or another process is at it.

    A run that an earlier attempt has left in `output` is gone on with. What the run raises goes on
    to the caller, but for `Pruned`; it is in the ledger then.
    """
    number = int(os.environ[JOB])
    definition = Definition.read(sweep)
    if Path(definition.directory).is_dir():
        os.chdir(definition.directory)  # a launcher's process may begin elsewhere
    study = definition.study(sweep)
    try:
        with Ledger(sweep).attempt(number, output) as attempt:
            if attempt is None:
                return
            told = _Told(study.judge(number) if study else None)
            try:
                summary = run(find=repeat_in, judge=told)
            except Pruned:
                attempt.result = told.best
                _tell(study, number, None, "pruned")
                raise
            except Exception:
                _tell(study, number, None, "fail")
                raise
            if summary is not None:
                attempt.result = _result(summary)
                value = attempt.result["valid"] if attempt.result else None
                _tell(study, number, value, "fail" if value is None else "complete")
    except Held as error:
        log.info("job %d: %s is running it", number, error)
    except Pruned as error:
        log.info("job %d is given up: %s", number, error)


def place(sweep: Path) -> dict[str, Any] | None:
    """Of a job of the sweep in this folder, the sweep's name and the job's number; else None."""
    return {"name": sweep.name, "job": int(os.environ[JOB])} if JOB in os.environ else None


class _Told:
    """Passes on what a run tells after each epoch, and keeps the best of it."""

    def __init__(self, judge: Callable[[int, float], None] | None) -> None:
        self._judge = judge
        self.best: dict[str, Any] | None = None

    def __call__(self, epoch: int, metric: str, value: float) -> None:
        if self.best is None or value > self.best["valid"]:
            self.best = {"metric": metric, "valid": value, "best_epoch": epoch}
        if self._judge is not None:
            self._judge(epoch, value)


def _tell(study: Study | None, number: int, value: float | None, state: str) -> None:
    if study is not None:
        study.tell(number, value, state=state)


def _result(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the ledger keeps of a finished run; None of one without evaluation."""
    metric = summary["select"]
    if metric is None:
        return None
    return {
        "metric": metric,
        "valid": summary["valid"][metric],
        "test": summary["test"][metric],
        "best_epoch": summary["best_epoch"],
        "seconds": summary["seconds"],
    }
