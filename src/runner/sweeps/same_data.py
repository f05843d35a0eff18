"""Whether the files that the jobs of a sweep have been run on are still the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.config.flat import flat
from runner.config.identity import is_on_a_file
from runner.config.schema import RunConfig
from runner.errors import RunnerError
from runner.records.folder import RunFolder
from runner.sweeps.ledger import Job, Ledger


def refuse_other_data(ledger: Ledger, overrides_of: Callable[[Job], Sequence[str]]) -> None:
    """Refuse to go on with a sweep whose jobs were run on another graph than they would be now.

    A finished job counts as done on the graph that it has seen. A file is read once for all seeds.

    Args:
        overrides_of: those of a job, of which the places of the user's files count.

    Raises:
        RunnerError: naming a run, and the sizes then and now.
    """
    from runner.experiment import same_data  # not at the top: torch
    from runner.experiment.build import load_data

    read: dict[str, Any] = {}
    for job in ledger.jobs():
        folder = ledger.folder / (job.folder or "")
        config = _config(folder, overrides_of(job)) if job.folder else None
        if config is None:
            continue
        source = config["dataset"]["source"]
        # The seed makes another split of the same graph; old runs recorded both as one.
        split, recorded = source["split"], RunFolder(folder).meta()["data"]
        if "split" in recorded:
            split = {**split, "seed": None}
        elif "graph" in recorded:
            split = None
        key = json.dumps({**source, "split": split}, sort_keys=True)
        if key not in read:
            read[key] = load_data(RunConfig.read(config))
        same_data.refuse_other_data(
            read[key],
            folder,
            at=f"{ledger.folder}: job {job.job} in {job.folder}",
            remedy="begin another sweep: hydra.sweep.dir=…",
        )


def _config(folder: Path, overrides: Sequence[str]) -> Mapping[str, Any] | None:
    """The config of a job's run with its files where they lie now.

    None of one on no file of the user's, or that has not begun.
    """
    from runner.experiment.resume_overrides import apply, changeable, files

    try:
        run = RunFolder(folder)
        config = run.config()
        if "data" not in run.meta() or not is_on_a_file(flat(config, ".")):
            return None
        return apply(config, files(changeable(overrides)))
    except (RunnerError, LookupError, TypeError, ValueError, AttributeError):
        return None  # its job makes it anew, or says what is wrong
