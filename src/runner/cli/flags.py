"""Flags of the command line: Hydra's, wherever they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from runner.errors import RunnerError


class _Unreadable(Exception):
    pass


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments in an order that Hydra reads: no override behind a flag behind another one.

    Raises:
        RunnerError: if there is no such flag, or one lacks its value.
    """
    _refuse_hydras_folder(arguments)
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        raise _Unreadable(message)

    parser.error = error  # type: ignore[method-assign]
    try:
        parser.parse_args(arguments)
        return list(arguments)
    except _Unreadable:
        pass
    try:
        overrides = parser.parse_intermixed_args(arguments).overrides
    except _Unreadable as unreadable:
        raise RunnerError(f"{unreadable}; `runner --hydra-help` lists the flags") from None
    left = Counter(overrides)
    flags = []
    for argument in reversed(arguments):
        if left[argument]:
            left[argument] -= 1
        else:
            flags.append(argument)
    return [*reversed(flags), *overrides]


def _refuse_hydras_folder(arguments: Sequence[str]) -> None:
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        if key == "hydra.output_subdir" and value != "null":
            raise RunnerError(
                f"{argument}: the run folder keeps its own config.yaml and overrides.yaml; leave "
                "it out"
            )
        if key in ("hydra.run.dir", "hydra.sweep.dir") and value.strip() in ("", "''", '""'):
            raise RunnerError(f"{argument}: a folder has a name; give one, or leave it out")
