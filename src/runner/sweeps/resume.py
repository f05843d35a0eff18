"""`runner -m resume=<sweep folder> [overrides]`: the command line that goes on with a sweep."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from runner.config.aliases import key_of_today
from runner.errors import RunnerError
from runner.sweeps.definition import NAME, Definition
from runner.sweeps.ledger import ENDED, Ledger

_ROOT = Path("outputs/sweeps")


def arguments_of(given: str, others: Sequence[str]) -> list[str]:
    """The arguments of a `runner -m` that does what is missing of a sweep.

    Args:
        given: the sweep's folder; `latest` is the newest below outputs/sweeps that is not
            finished, `auto` such a one that `others` define, or a new one.
        others: arguments that count more than those that the sweep was begun with.

    Raises:
        RunnerError: if there is no such sweep.
    """
    if given == "auto":
        return [*others, "hydra.sweeper.resume=true"]
    folder = _latest() if given == "latest" else Path(os.path.expanduser(given)).absolute()
    definition = Definition.read(folder)
    # Relative paths mean what they meant.
    if Path(definition.directory).is_dir():
        os.chdir(definition.directory)
    newer = {_key(argument) for argument in others}
    began = [_of_today(argument) for argument in definition.arguments]
    kept = [argument for argument in began if _key(argument) not in newer]
    return [*kept, *others, f"hydra.sweep.dir={folder}"]


def _of_today(argument: str) -> str:
    """An argument of an earlier version of the program, with its key where it is today."""
    key, equals, value = argument.partition("=")
    return f"{key_of_today(key)}{equals}{value}"


def _key(argument: str) -> str:
    return argument.partition("=")[0].lstrip("+~")


def _latest() -> Path:
    found = sorted(_ROOT.glob(f"*/{NAME}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        if is_unfinished(path.parent):
            return path.parent.absolute()
    raise RunnerError(
        f"resume=latest: no sweep in {_ROOT.absolute()} is to be gone on with; give its folder"
    )


def is_unfinished(folder: Path) -> bool:
    """Whether a sweep has jobs to do; one whose files cannot be read has none."""
    try:
        definition, jobs = Definition.read(folder), Ledger(folder).jobs()
    except (RunnerError, OSError):
        return False
    return len(jobs) < (definition.trials or 0) or any(job.state not in ENDED for job in jobs)
