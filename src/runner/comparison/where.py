"""`--where key=value`: select runs by their settings."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runner.comparison.run import Run
from runner.comparison.settings import in_words, resolve, scalar
from runner.errors import RunnerError

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"([^<>=!]+)(<=|>=|!=|=|<|>)(.*)", re.DOTALL)
_ORDER = {"<=", ">=", "<", ">"}


@dataclass(frozen=True)
class Condition:
    """`key`, `sign` and `value` of a condition; a run without the key does not satisfy it."""

    key: str
    sign: str
    value: Any

    def holds(self, run: Run) -> bool:
        if self.key == "status":
            return _OPERATORS[self.sign](run.status, self.value)
        if self.key not in run.settings:
            return False
        found = run.settings[self.key]
        if self.sign in _ORDER:
            return _is_number(found) and _OPERATORS[self.sign](found, self.value)
        same = found == self.value and isinstance(found, bool) == isinstance(self.value, bool)
        same = same or in_words(found) == in_words(self.value)
        return same == (self.sign == "=")


def parse(text: str, runs: Sequence[Run]) -> Condition:
    """A condition such as `model=ncn`, `train.epochs>=50` or `status!=failed`.

    Raises:
        RunnerError: if it cannot be read, no run has the key, or it orders text.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise RunnerError(
            f"--where {text}: this is no condition; write key=value, or !=, <, <=, > or >="
        )
    key, sign, value = match[1].strip(), match[2], scalar(match[3].strip())
    if key == "status" and sign not in _ORDER:
        return Condition(key, sign, str(value))
    try:
        key = resolve(key, (name for run in runs for name in run.settings))
    except RunnerError as error:
        raise RunnerError(f"--where {text}: {error}") from None
    if sign in _ORDER and not _is_number(value):
        raise RunnerError(f"--where {text}: {sign} compares numbers; {match[3]!r} is none")
    return Condition(key, sign, value)


def select(runs: Sequence[Run], conditions: Sequence[str]) -> list[Run]:
    """The runs that satisfy all conditions.

    Raises:
        RunnerError: as `parse`, or if no run is left.
    """
    left = list(runs)
    parsed = [(text, parse(text, runs)) for text in conditions]
    for text, condition in parsed:
        before, left = left, [run for run in left if condition.holds(run)]
        if not left:
            values = {
                in_words(run.settings[condition.key])
                for run in before
                if condition.key in run.settings
            }
            if condition.key == "status":
                values = {run.status for run in before}
            found = ", ".join(sorted(values)[:10]) or "none of them has it"
            raise RunnerError(f"--where {text}: no run is left; {condition.key} is {found}")
    return left


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
