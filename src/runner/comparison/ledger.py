"""The jobs of a sweep folder, from its ledger.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.comparison.run import Run
from runner.comparison.settings import flat

LEDGER = "ledger.jsonl"


@dataclass(frozen=True)
class Job:
    """One job; `folder` is None if it never had one, `state` is the state in the ledger."""

    number: str
    state: str
    folder: Path | None
    error: str | None
    parameters: Mapping[str, Any]

    def as_run(self, name: str) -> Run:
        """A run without a result, from the record of the job in the ledger alone."""
        settings = dict(self.parameters)
        for group in ("model", "dataset"):
            if group in settings:
                settings[f"run.{group}"] = settings.pop(group)
        done = self.state == "done"
        lost = "done by the ledger, but its folder is not there" if done else None
        return Run(
            name=name,
            folder=None,
            status="missing" if done else self.state,
            problem=self.error or lost,
            dataset=str(settings.get("run.dataset", "")),
            model=str(settings.get("run.model", "")),
            seed=settings.get("seed"),
            seeds=json.dumps(settings.get("seed"), default=str),
            settings=settings,
        )


def read_ledger(sweep: Path) -> list[Job]:
    """The jobs of a sweep folder; of several lines for a job the last one counts.

    Unreadable lines (torn by a kill) are left out.
    """
    jobs: dict[str, Job] = {}
    try:
        lines = (sweep / LEDGER).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            row = json.loads(line)
            number = str(row["job"])
            parameters = row.get("parameters")
            error, folder = row.get("error"), row.get("folder")
            jobs[number] = Job(
                number=number,
                state=str(row["state"]),
                folder=sweep / folder if folder else None,
                error=str(error) if error else None,
                parameters=flat(parameters) if isinstance(parameters, Mapping) else {},
            )
        except (ValueError, KeyError, TypeError):
            continue
    return list(jobs.values())
