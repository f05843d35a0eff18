"""Checkpoints: everything that a run needs to end in the same bits.

A checkpoint is a file of `torch.save`, with the SHA-256 of all its other bytes as the comment of
its zip archive, so that `torch.load` reads it and damage is noticed.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from runner.errors import RunnerError
from runner.ops.nested import move
from runner.storage.files import atomic
from runner.storage.seal import Damaged, seal_archive, verify_archive
from runner.training.loop import Training
from runner.training.state import TrainingState

log = logging.getLogger(__name__)

FORMAT = 2


def snapshot(run: Training, state: TrainingState, fingerprint: str) -> dict[str, Any]:
    """The content of a checkpoint now; it shares the tensors of the run."""
    schedule = {"schedule": run.schedule.state_dict()} if run.schedule is not None else {}
    objective = run.objective
    own = {"learned": objective.learned.state_dict(), "prepared": dict(objective.prepared)}
    return {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "model": run.model.state_dict(),
        "optimizer": {} if run.optimizer is None else run.optimizer.state_dict(),
        "generators": run.generators.state(),
        "state": asdict(state),
        **schedule,
        **({"objective": own} if any(own.values()) else {}),
    }


def write(path: Path, content: Mapping[str, Any], *, keep: int | None = None) -> None:
    """Write a checkpoint; a kill leaves the old file or the new one, never a torn one.

    Args:
        keep: number of files to keep: `last.pt` and the earlier `last-1.pt`, ….
            None replaces the file, and leaves the earlier ones unchanged.

    Raises:
        OSError: if it cannot be written; the old files are unchanged.
    """
    with atomic(path) as temporary:
        _save(content, temporary)
        seal_archive(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if keep is not None:
            _rotate(path, keep)


def _save(content: Mapping[str, Any], path: Path) -> None:
    try:
        with open(path, "wb") as file:
            torch.save(dict(content), file)
    except RuntimeError as error:
        # torch's archive writer raises its own error over that of the system.
        cause = error.__context__
        if isinstance(cause, OSError):
            raise cause from None
        raise


def _rotate(path: Path, keep: int) -> None:
    for age in range(keep - 1, 0, -1):
        newer = _numbered_path(path, age - 1)
        if not newer.exists():
            continue
        if age > 1:
            os.replace(newer, _numbered_path(path, age))
            continue
        # A second name, so that last.pt exists at every moment.
        link = path.with_name(f".{path.name}.link")
        link.unlink(missing_ok=True)
        try:
            os.link(newer, link)
        except OSError:  # a file system without hard links
            os.replace(newer, _numbered_path(path, age))
        else:
            os.replace(link, _numbered_path(path, age))
            link.unlink(missing_ok=True)  # os.replace does nothing if both name the same file
    age = keep
    while (surplus := _numbered_path(path, age)).exists():  # from a larger `keep`
        surplus.unlink()
        age += 1


def _numbered_path(path: Path, age: int) -> Path:
    return path.with_name(f"{path.stem}-{age}{path.suffix}") if age else path


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint without executing code from it (`weights_only=True`), onto the CPU.

    Raises:
        Damaged: if any byte has changed, or the file is no checkpoint of a run.
    """
    try:
        verify_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("it has another format")
    except Exception as error:  # damaged files fail in many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Damaged(
            f"{path}: the checkpoint is damaged or not one of ours ({reason}); "
            "restore the file, or start the run anew with the overrides in its overrides.yaml"
        ) from None
    return content


def check_data(content: Mapping[str, Any], path: Path, fingerprint: str) -> None:
    """Refuse a checkpoint of a run on other data, or on another split of the same."""
    made_on = str(content["fingerprint"])
    if made_on != fingerprint:
        raise RunnerError(
            f"{path}: the dataset has changed since this run was started "
            f"(fingerprint {made_on[:12]} then, {fingerprint[:12]} now); "
            "restore the data, or start a new run"
        )


def newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest intact checkpoint among last.pt and its predecessors, or None.

    Raises:
        Damaged: if there are checkpoints, but none is intact.
    """
    paths = [folder / "last.pt", *sorted(folder.glob("last-*.pt"), key=_parse_age)]
    problems = []
    for path in paths:
        if not path.is_file():
            continue
        try:
            content = read(path)
        except Damaged as error:
            problems.append(error)
            continue
        for problem in problems:
            log.warning("%s", str(problem).partition(";")[0])
        if problems:
            log.warning("resuming from %s instead", path)
        return path, content
    if problems:
        raise problems[0]
    return None


def _parse_age(path: Path) -> int:
    with contextlib.suppress(ValueError):
        return int(path.stem.removeprefix("last-"))
    return 2**31


def set_damaged_aside(folder: Path) -> None:
    """Rename damaged checkpoints, so that none of them replaces a good one."""
    for path in sorted(folder.glob("*.pt")):
        try:
            verify_archive(path)
        except Damaged:
            aside = path.with_name(f"{path.name}.damaged")
            log.warning("%s is damaged; it is kept as %s", path, aside.name)
            os.replace(path, aside)


def restore(content: Mapping[str, Any], run: Training) -> TrainingState:
    """Load a checkpoint into the model, the optimiser and the generators of a run."""
    run.model.load_state_dict(content["model"])
    if run.optimizer is not None:
        run.optimizer.load_state_dict(content["optimizer"])
    if run.schedule is not None:
        run.schedule.load_state_dict(content["schedule"])
    if "objective" in content:
        run.objective.learned.load_state_dict(content["objective"]["learned"])
        run.objective.prepared = move(
            content["objective"]["prepared"], run.task.train_graph.col.device
        )
    run.generators.restore(content["generators"])
    state = TrainingState(**content["state"])
    if state.draws:  # a run without training has none
        run.generators.restore_draws(state.draws)
    return state
