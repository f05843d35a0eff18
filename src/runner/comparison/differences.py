"""The differences between runs: settings first, then provenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.comparison.run import Run
from runner.comparison.settings import ABSENT, in_words
from runner.errors import RunnerError


def differences(a: Run, b: Run) -> list[tuple[str, str, str]]:
    """Key, value in `a` and value in `b`, for every key in which they differ."""
    keys, values, rows = compact([a, b])
    return [
        (key, of[row_a], of[row_b])
        for key, of, row_a, row_b in zip(keys, values, rows[0], rows[1], strict=True)
    ]


def compact(runs: Sequence[Run]) -> tuple[list[str], list[list[str]], list[list[int]]]:
    """The keys that vary among runs, the distinct values of each, and the places of each run.

    Run i has, for key k, `values[k][rows[i][k]]`; a missing key has the value `absent`.
    """
    columns: dict[str, dict[int, str]] = {}
    for index, run in enumerate(runs):
        for part in (run.settings, run.provenance):
            for key, value in part.items():
                columns.setdefault(key, {})[index] = in_words(value)
    keys: list[str] = []
    values: list[list[str]] = []
    places: list[list[int]] = []
    for key, column in sorted(columns.items(), key=lambda item: _is_provenance(item[0], runs)):
        texts = [column.get(index, ABSENT) for index in range(len(runs))]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        if len(distinct) > 1:
            keys.append(key)
            values.append(list(distinct))
            places.append([distinct[text] for text in texts])
    return keys, values, [list(row) for row in zip(*places, strict=True)] or [[] for _ in runs]


def _is_provenance(key: str, runs: Sequence[Run]) -> bool:
    return all(key not in run.settings for run in runs)


def find(runs: Sequence[Run], name: str) -> Run:
    """The run with this folder, or with this ending of its name.

    Raises:
        RunnerError: if there is no such run, or several.
    """
    path = Path(name).absolute()
    found = [run for run in runs if run.folder and run.folder.absolute() == path]
    found = found or [run for run in runs if run.name.endswith(name.rstrip("/"))]
    if not found:
        raise RunnerError(f"--diff {name}: none of these runs is called so; give a run folder")
    if len(found) > 1:
        several = ", ".join(run.name for run in found[:3])
        raise RunnerError(f"--diff {name}: several runs end so ({several}, …); give a whole folder")
    return found[0]
