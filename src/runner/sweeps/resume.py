"""`runner -m resume=<sweep folder> [overrides]`: the command line that resumes a sweep."""

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
    """The arguments of a `runner -m` that runs the unfinished jobs of a sweep.

    Args:
        given: the sweep's folder; `latest` is the newest unfinished sweep below outputs/sweeps,
            `auto` the unfinished sweep with the definition of `others`, or a new one.
        others: arguments that override those of the start of the sweep.

    Raises:
        RunnerError: if there is no such sweep.
    """
    if given == "auto":
        return [*others, "hydra.sweeper.resume=true"]
    folder = _find_latest() if given == "latest" else Path(os.path.expanduser(given)).absolute()
    definition = Definition.read(folder)
    # Relative paths keep their meaning.
    if Path(definition.directory).is_dir():
        os.chdir(definition.directory)
    newer = {_key(argument) for argument in others}
    began = [_modernise(argument) for argument in definition.arguments]
    kept = [argument for argument in began if _key(argument) not in newer]
    return [*kept, *others, f"hydra.sweep.dir={folder}"]


def _modernise(argument: str) -> str:
    """An argument of an earlier version, with the present place of its key."""
    key, equals, value = argument.partition("=")
    return f"{key_of_today(key)}{equals}{value}"


def _key(argument: str) -> str:
    return argument.partition("=")[0].lstrip("+~")


def _find_latest() -> Path:
    found = sorted(_ROOT.glob(f"*/{NAME}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        if is_unfinished(path.parent):
            return path.parent.absolute()
    raise RunnerError(
        f"resume=latest: no sweep in {_ROOT.absolute()} is unfinished; give a sweep folder"
    )


def is_unfinished(folder: Path) -> bool:
    """Whether a sweep has unfinished jobs; False if its files cannot be read."""
    try:
        definition, jobs = Definition.read(folder), Ledger(folder).jobs()
    except (RunnerError, OSError):
        return False
    return len(jobs) < (definition.trials or 0) or any(job.state not in ENDED for job in jobs)
