"""`runner resume=latest` and `resume=auto`: which run to go on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.run_folder import RunFolder
from runner.run_lock import is_locked
from runner.seal import Damaged, read_json


def latest(root: Path) -> Path:
    """The newest run below `root` that is not done and that no process is at.

    Raises:
        RunnerError: if there is none.
    """
    found = [path for path in _unfinished(root, "**") if not is_locked(path)]
    if not found:
        raise RunnerError(
            f"resume=latest: no run in {root.absolute()} is to be gone on with; give a run folder"
        )
    return found[-1]


def unfinished_repeat(config: Mapping[str, Any], output: Path) -> Path | None:
    """The newest run that is not done and is what `config` would start; None without.

    Args:
        config: resolved and checked.
        output: the folder that a new run would take; runs in it and beside it are looked at.

    Raises:
        RunnerError: naming the process, if one is at such a run.
    """
    wanted = _identity(config)
    for path in reversed([*_unfinished(output.parent, "*"), *_unfinished(output, "")]):
        try:
            saved = RunFolder(path).config()
        except Damaged:
            continue
        if _identity(saved) == wanted:
            holder = is_locked(path)
            if holder:
                raise RunnerError(
                    f"resume=auto: {holder} is running this very run in {path}; wait for its end"
                )
            return path
    return None


def _unfinished(root: Path, pattern: str) -> Iterator[Path]:
    """Run folders that are not done, the oldest first."""
    files = root.glob(f"{pattern}/config.yaml" if pattern else "config.yaml")
    folders = [file.parent for file in files if file.parent.name != "init"]
    for folder in sorted(folders, key=lambda path: (path / "config.yaml").stat().st_mtime):
        try:
            status = read_json((folder / "status.json").read_text())["status"]
        except (OSError, ValueError, KeyError, Damaged):
            status = "unknown"
        if status != "done":
            yield folder


def _identity(config: Mapping[str, Any]) -> tuple[Any, ...]:
    from runner.build import experiment_id  # torch

    train = config["train"]
    return experiment_id(config, warm_start=None), config["seeds"], train["init_from"]
