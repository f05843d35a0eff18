"""The jobs of a grid: every combination of the swept values, or paired lists side by side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.types import Override

from runner.errors import RunnerError

Parameters = dict[str, str]  # key -> value, as typed


def split(overrides: Sequence[Override]) -> tuple[list[str], dict[str, Override]]:
    """Split overrides into lines common to all jobs, and overrides with several values, by key.

    Of two overrides with the same key the later one counts.
    """
    last = {override.get_key_element(): override for override in overrides}
    fixed = [
        override.input_line or f"{key}={override.get_value_element_as_str()}"
        for key, override in last.items()
        if not override.is_sweep_override()
    ]
    return fixed, {key: o for key, o in last.items() if o.is_sweep_override()}


def grid(swept: Mapping[str, Override], paired: Sequence[Sequence[str]]) -> list[Parameters]:
    """Every combination of the values; the last key changes fastest.

    Args:
        paired: groups of keys that change together; their lists have the same length.

    Raises:
        RunnerError: if a key has no list of values, or paired lists differ in length.
    """
    values = {key: _values(key, override) for key, override in swept.items()}
    axes: dict[str, list[Parameters]] = {}
    group_of = _groups(paired, values)
    for key, texts in values.items():
        group = group_of.get(key, (key,))
        if group[0] == key:
            columns = [values[member] for member in group]
            axes[key] = [dict(zip(group, row, strict=True)) for row in zip(*columns, strict=True)]
        elif len(texts) != len(values[group[0]]):
            raise AssertionError(group)
    return [
        {key: text for part in combination for key, text in part.items()}
        for combination in itertools.product(*axes.values())
    ]


def _values(key: str, override: Override) -> list[str]:
    if not override.is_discrete_sweep():
        raise RunnerError(
            f"{override.input_line or key}: an interval has no end of values; list some, or search "
            "it: search=tpe or search=random"
        )
    return list(override.sweep_string_iterator())


def _groups(
    paired: Sequence[Sequence[str]], values: Mapping[str, list[str]]
) -> dict[str, tuple[str, ...]]:
    """The group of each paired key, its members in the order of the sweep."""
    groups: dict[str, tuple[str, ...]] = {}
    for given in paired:
        for key in given:
            if key not in values or key in groups:
                raise RunnerError(
                    f"hydra.sweeper.paired={_format_paired(paired)}: {key} "
                    + ("is named twice" if key in groups else "has no list of values to pair")
                )
        lengths = {key: len(values[key]) for key in given}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{key} {count}" for key, count in lengths.items())
            raise RunnerError(
                f"hydra.sweeper.paired={_format_paired(paired)}: paired keys take as many values "
                f"each ({counts})"
            )
        members = tuple(key for key in values if key in given)
        groups.update(dict.fromkeys(members, members))
    return groups


def _format_paired(paired: Sequence[Sequence[str]]) -> str:
    return "[" + ",".join(f"[{','.join(group)}]" for group in paired) + "]"
