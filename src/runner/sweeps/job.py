"""One job of a sweep, in its process: taken from the ledger, run, and recorded there."""

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
    """Runs the job; returns the summary of the run."""

    def __call__(self, *, find: Find, judge: Judge | None) -> dict[str, Any] | None: ...


def run_job(sweep: Path, output: Path, run: Run) -> None:
    """Run the job that the environment names, unless it is done or another process holds it.

    A run of an earlier attempt in `output` is resumed. Errors of the run are recorded in the
    ledger and raised to the caller, except `Pruned`.
    """
    number = int(os.environ[JOB])
    definition = Definition.read(sweep)
    if Path(definition.directory).is_dir():
        os.chdir(definition.directory)  # a launcher's process may start in another folder
    study = definition.study(sweep)
    try:
        with Ledger(sweep).attempt(number, output) as attempt:
            if attempt is None:
                return
            judge = _JudgeWithBest(study.judge(number) if study else None)
            try:
                summary = run(find=repeat_in, judge=judge)
            except Pruned:
                attempt.result = judge.best
                _tell_study(study, number, None, "pruned")
                raise
            except Exception:
                _tell_study(study, number, None, "fail")
                raise
            if summary is not None:
                attempt.result = _result(summary)
                value = attempt.result["valid"] if attempt.result else None
                _tell_study(study, number, value, "fail" if value is None else "complete")
    except Held as error:
        log.info("job %d: %s is running it", number, error)
    except Pruned as error:
        log.info("job %d is given up: %s", number, error)


def place(sweep: Path) -> dict[str, Any] | None:
    """The name of the sweep and the number of the job, if this process runs one; else None."""
    return {"name": sweep.name, "job": int(os.environ[JOB])} if JOB in os.environ else None


class _JudgeWithBest:
    """Forwards the validation metric of each epoch to a judge, and keeps the best one."""

    def __init__(self, judge: Callable[[int, float], None] | None) -> None:
        self._judge = judge
        self.best: dict[str, Any] | None = None

    def __call__(self, epoch: int, metric: str, value: float) -> None:
        if self.best is None or value > self.best["valid"]:
            self.best = {"metric": metric, "valid": value, "best_epoch": epoch}
        if self._judge is not None:
            self._judge(epoch, value)


def _tell_study(study: Study | None, number: int, value: float | None, state: str) -> None:
    if study is not None:
        study.tell(number, value, state=state)


def _result(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result of a finished run for the ledger; None for a run without evaluation."""
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
