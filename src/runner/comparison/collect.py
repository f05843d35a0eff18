"""Collect all runs in and below some folders."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from runner.comparison.ledger import LEDGER, Job, read_ledger
from runner.comparison.read import read_run
from runner.comparison.run import Run
from runner.errors import RunnerError

# W&B keeps run folders of its own, and init/ holds the start of a run.
_SKIPPED_FOLDERS = {"checkpoints", "init", "wandb"}
_RUN_FILES = {"status.json", "meta.json"}
_MANY, _AT_A_TIME = 200, 32  # from so many runs on, several processes read them in chunks
_ENDED = {"failed", "interrupted", "pruned"}


def collect(folders: Sequence[Path]) -> list[Run]:
    """The runs in and below `folders`, and their sweeps' jobs without a folder; each once.

    Raises:
        RunnerError: if a folder does not exist or there is no run.
    """
    places: dict[str, Path] = {}
    unreadable: dict[str, Run] = {}
    jobs: dict[str, tuple[str, Job]] = {}
    for root in folders:
        if not root.is_dir():
            raise RunnerError(f"{root}: there is no such folder; give run folders or folders above")
        closed: list[OSError] = []
        for folder, names in _walk(root, closed):
            if names & _RUN_FILES:
                places.setdefault(os.path.realpath(folder), folder)
            if LEDGER in names:
                for job in read_ledger(folder):
                    where = os.path.realpath(job.folder or folder / f"job {job.number}")
                    jobs.setdefault(where, (f"{folder} job {job.number}", job))
        for error in closed:
            reason = f"the folder cannot be read ({error.strerror})"
            run = Run(str(error.filename), None, status="unreadable", problem=reason)
            unreadable.setdefault(os.path.realpath(run.name), run)
    runs = dict(zip(places, _read(list(places.values())), strict=True))
    runs |= {where: run for where, run in unreadable.items() if where not in runs}
    for where, (name, job) in jobs.items():
        if where not in runs:
            runs[where] = job.as_run(name)
        elif runs[where].status in ("running", "killed") and job.state in _ENDED:
            # A killed run cannot record its end; its sweep has.
            problem = job.error or runs[where].problem
            runs[where] = replace(runs[where], status=job.state, problem=problem)
    if not runs:
        raise RunnerError(
            f"no runs in {', '.join(map(str, folders))}; give folders that hold run folders "
            "(status.json, config.yaml, …)"
        )
    return list(runs.values())


def _read(folders: Sequence[Path]) -> list[Run]:
    """Read the runs; if many, in other processes, while this one imports pandas and scipy."""
    names = [str(folder) for folder in folders]
    # A fork of several threads (a notebook's) may inherit a lock that nobody opens.
    can_fork = "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1
    if len(folders) < _MANY or not can_fork:
        return list(map(read_run, folders, names))
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        found = pool.map(read_run, folders, names, chunksize=_AT_A_TIME)
        import pandas  # noqa: F401
        import scipy.stats  # noqa: F401

        return list(found)


def _walk(root: Path, closed: list[OSError]) -> Iterator[tuple[Path, set[str]]]:
    """Folders with the names of their files, sorted; links are followed, never in a circle.

    Errors of unreadable folders are added to `closed`.
    """
    seen = set()
    for path, folders, files in os.walk(root, onerror=closed.append, followlinks=True):
        where = os.path.realpath(path)
        if where in seen:
            folders.clear()
            continue
        seen.add(where)
        folders[:] = sorted(set(folders) - _SKIPPED_FOLDERS)
        yield Path(path), set(files)
