"""`runner resume=latest` and `resume=auto`: which run to go on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from runner.config.identity import experiment_id
from runner.errors import RunnerError
from runner.records.folder import RunFolder
from runner.storage.locks import is_locked
from runner.storage.seal import Damaged, read_json


def latest(root: Path) -> Path:
    """The newest run below `root` that is not done and that no process is at.

    Raises:
        RunnerError: if there is none.
    """
    found = [path for path in _runs(root, "**") if not (_is_done(path) or is_locked(path))]
    if not found:
        raise RunnerError(
            f"resume=latest: no run in {root.absolute()} is to be gone on with; give a run folder"
        )
    return found[-1]


def repeat(config: Mapping[str, Any], output: Path) -> Path | None:
    """The newest run that is not done and is what `config` would start; None without.

    Args:
        config: resolved and checked.
        output: the folder that a new run would take; runs beside it are looked at, and one in it,
            even if it is done.

    Raises:
        RunnerError: naming the process, if one is at such a run.
    """
    beside = [path for path in _runs(output.parent, "*") if path != output and not _is_done(path)]
    for path in [*_runs(output, "."), *reversed(beside)]:
        if not _is_repeat(config, path):
            continue
        holder = is_locked(path)
        if holder:
            raise RunnerError(
                f"resume=auto: {holder} is running this very run in {path}; wait for its end"
            )
        return path
    return None


def repeat_in(config: Mapping[str, Any], output: Path) -> Path | None:
    """`output`, if the run in it is what `config` would start there; None without."""
    return next((path for path in _runs(output, ".") if _is_repeat(config, path)), None)


def _is_repeat(config: Mapping[str, Any], path: Path) -> bool:
    return _identity_of_run(path) == _identity(config)


def _runs(root: Path, pattern: str) -> Iterator[Path]:
    """Folders of runs, the oldest first."""
    ages = {}
    for file in root.glob(f"{pattern}/meta.json" if pattern != "." else "meta.json"):
        # init/ is what a run began from, and W&B keeps folders of its own.
        if not {"init", "wandb"} & set(file.parent.relative_to(root).parts):
            ages[file.parent] = _created(file.parent)
    yield from sorted(ages, key=ages.__getitem__)


def _created(folder: Path) -> float:
    # Written once, and on a damaged run perhaps missing.
    for name in ("overrides.yaml", "config.yaml", "meta.json"):
        try:
            return (folder / name).stat().st_mtime
        except OSError:
            continue
    return 0.0


def _is_done(folder: Path) -> bool:
    try:
        return read_json((folder / "status.json").read_text())["status"] in ("done", "pruned")
    except (OSError, ValueError, KeyError, Damaged):
        return False


def _identity_of_run(folder: Path) -> tuple[Any, ...] | None:
    """That of its config with what its resumes have changed; None if it cannot be read."""
    from runner.experiment.resume_overrides import apply, lengths
    from runner.records.checkpoint import newest

    run = RunFolder(folder)
    try:
        try:
            config = run.config()
        except Damaged:
            found = newest(run.checkpoints)
            if found is None:
                return None
            run.take_records(found[1]["records"])
            config = run.config()
        for entry in run.meta()["resumes"]:
            config = apply(config, lengths(entry["overrides"]))
        return _identity(config)
    except (RunnerError, LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError):
        return None  # of another program, or damaged beyond help


def _identity(config: Mapping[str, Any]) -> tuple[Any, ...]:
    train = config["train"]
    return experiment_id(config, warm_start=None), config["seeds"], train["init_from"]
