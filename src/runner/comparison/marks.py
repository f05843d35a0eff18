"""Marks: what an audit has against a row, beside its figure, below the table and in the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from runner.comparison.groups import Group
from runner.comparison.published import differing
from runner.config.reports import FAILURES
from runner.terminal.tables import differences_in_words


@dataclass(frozen=True)
class Mark:
    """One objection to the figure of a row, which `--check` refuses for it.

    Attributes:
        name: the word beside the figure.
        reason: below the table.
    """

    name: str
    reason: str


def marks(group: Group) -> list[Mark]:
    """The objections to a group's figure, in a fixed order."""
    return [mark for find in _FINDERS if (mark := find(group)) is not None]


def marked(text: str, names: str) -> str:
    """A figure with the names of its marks: `89.05 ± 0.96 [company]`."""
    return f"{text} [{names}]" if names else text


def names(found: Sequence[Mark]) -> str:
    """The names of some marks, as the column `marks` has them."""
    return ", ".join(mark.name for mark in found)


def objections(found: Sequence[Mark]) -> str:
    """Some marks with their reasons, as the column `objections` has them."""
    return "; ".join(f"[{mark.name}]: {mark.reason}" for mark in found)


def targets_visible(group: Group) -> str:
    """Which parts of the models saw the targets that they trained on; "" where it is not known."""
    audits = [run.result.audits.get("training", {}) for run in group.runs if run.result]
    found = [audit["targets_visible"] for audit in audits if "targets_visible" in audit]
    return " / ".join(dict.fromkeys(found))


def not_made(group: Group) -> dict[str, int]:
    """In how many runs each audit could not be made, by its name."""
    return Counter(
        name
        for run in group.runs
        if run.result
        for name, audit in run.result.audits.items()
        if audit.get("passed") is None
    )


def _failed(group: Group, *, audit: str, reason: str) -> Mark | None:
    """The mark for runs that have failed an audit; a run without it has failed none."""
    count = sum(
        run.result.audits.get(audit, {}).get("passed") is False for run in group.runs if run.result
    )
    if not count:
        return None
    of = "" if count == len(group.runs) else f" (in {count} of {len(group.runs)} runs)"
    return Mark(audit, f"{reason}{of}")


def _other_setting(group: Group) -> Mark | None:
    found = differing(group)
    if not found:
        return None
    return Mark("setting", f"not the published setting: {differences_in_words(found)}")


_FINDERS: tuple[Callable[[Group], Mark | None], ...] = (
    _other_setting,
    *(partial(_failed, audit=name, reason=said) for name, said in FAILURES.items()),
)
