"""`runner resume=latest` and `resume=auto`: find the run to resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from runner.config.flat import flat
from runner.config.identity import content_id, experiment_id, is_on_a_file
from runner.config.schema import RunConfig
from runner.errors import RunnerError
from runner.keys import Effect
from runner.records.folder import RunFolder
from runner.storage.locks import is_locked
from runner.storage.seal import Damaged, read_json


def latest(root: Path) -> Path:
    """The newest unfinished run below `root` that no process holds.

    Raises:
        RunnerError: if there is none.
    """
    found = [path for path in _list_runs(root, "**") if not (_is_done(path) or is_locked(path))]
    if not found:
        raise RunnerError(
            f"resume=latest: no run in {root.absolute()} is unfinished; give a run folder"
        )
    return found[-1]


def latest_trained(root: Path) -> Path:
    """The newest run below `root` that has weights of a best epoch.

    Raises:
        RunnerError: if there is none.
    """
    found = [path for path in _list_runs(root, "**") if (path / "checkpoints/best.pt").is_file()]
    if not found:
        raise RunnerError(f"latest: no run in {root.absolute()} has weights; give a run folder")
    return found[-1]


def repeat(config: Mapping[str, Any], output: Path) -> Path | None:
    """The newest unfinished run of the same experiment and seeds as `config`, or None.

    Args:
        config: resolved and checked.
        output: the folder of a new run. The search covers the runs beside it, and a run in it,
            even a finished one.

    Raises:
        RunnerError: if a process holds such a run.
    """
    beside = [
        path for path in _list_runs(output.parent, "*") if path != output and not _is_done(path)
    ]
    for path in [*_list_runs(output, "."), *reversed(beside)]:
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
    """`output`, if it holds a run of the same experiment and seeds as `config`; else None."""
    return next((path for path in _list_runs(output, ".") if _is_repeat(config, path)), None)


def _is_repeat(config: Mapping[str, Any], path: Path) -> bool:
    found = _read(path)
    if found is None:
        return False
    other, meta = found
    if _identity(other) != _identity(config):
        return False
    if _files(other) != _files(config):
        return _has_data_of(config, meta)
    # A resume reads the file, and refuses it where it has changed; that of a finished run does not.
    if _files(config) and _is_done(path):
        _refuse_changed(config, path)
    return True


def _list_runs(root: Path, pattern: str) -> Iterator[Path]:
    """Folders of runs, the oldest first."""
    ages = {}
    for file in root.glob(f"{pattern}/meta.json" if pattern != "." else "meta.json"):
        # init/ holds the start of a run, and W&B keeps folders of its own.
        if not {"init", "wandb"} & set(file.parent.relative_to(root).parts):
            ages[file.parent] = _creation_time(file.parent)
    yield from sorted(ages, key=ages.__getitem__)


def _creation_time(folder: Path) -> float:
    # These files are written once; a damaged run may lack some.
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


def _read(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Config and meta.json of a run, with length and files as its resumes have set them.

    None if they cannot be read.
    """
    from runner.experiment.resume_overrides import apply, files, lengths
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
        meta = run.meta()
        for entry in meta["resumes"]:
            typed = entry["overrides"]
            config = apply(config, [*lengths(typed), *files(typed)])
        _identity(config)  # that of another program has none
        return config, meta
    except (RunnerError, LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError):
        return None  # a folder of another program, or a run without any intact record


def _identity(config: Mapping[str, Any]) -> tuple[Any, ...]:
    own = is_on_a_file(flat(config, "."))
    identity = (content_id if own else experiment_id)(config, warm_start=None)
    return identity, config["seeds"], config["train"]["init_from"]


def _files(config: Mapping[str, Any]) -> dict[str, Any]:
    """The user's own files that a run is of; none of a dataset that is no file of theirs."""
    from runner.config.facts import effect_of  # not at the top: slow

    values = flat(config, ".")
    if not is_on_a_file(values):
        return {}
    given = {key: value for key, value in values.items() if value is not None}
    return {key: given[key] for key in given if effect_of(key, values) is Effect.SOURCE}


def _refuse_changed(config: Mapping[str, Any], path: Path) -> None:
    from runner.experiment.build import load_data
    from runner.experiment.same_data import refuse_other_data

    data = load_data(RunConfig.read(config))
    remedy = "start a new run in another folder: hydra.run.dir=…"
    refuse_other_data(data, path, at=f"resume=auto: {path}", remedy=remedy)


def _has_data_of(config: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
    """Whether the files of a config hold the graph that a run has recorded, wherever they lie."""
    from runner.experiment.build import load_data
    from runner.experiment.same_data import is_same

    recorded = meta.get("data") or {}
    return "graph" in recorded and is_same(recorded, load_data(RunConfig.read(config)))
