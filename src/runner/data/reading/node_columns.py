"""Columns of a node table as features: numbers standardised, categories one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import torch
from torch import Tensor

from runner.errors import RunnerError

_MOST_CATEGORIES = 1000
_CATEGORY_SHARE = 0.5  # different values of all, at most; else they are names or free text
_SHOWN = 8  # columns in a line
_LISTED = 100  # columns in `meta.json`
_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_MISSING = pyarrow.array(["na", "n/a", "#n/a", "nan", "none", "null", "-", "--", "?"])


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a node table.

    Attributes:
        values: (R,), null where there is no value.
        decimal: the mark in numbers that are written as text; None where values have their type.
    """

    name: str
    values: pyarrow.Array
    decimal: str | None = None

    def is_word(self) -> bool:
        kind = self.values.type
        return pyarrow.types.is_string(kind) or pyarrow.types.is_boolean(kind)

    def numbers(self) -> np.ndarray:
        """(R,) float64, NaN where there is no number."""
        values = self.values
        if self.decimal is not None:
            plain = pyarrow.compute.replace_substring(values, self.decimal, ".")
            is_number = pyarrow.compute.match_substring_regex(plain, _NUMBER)
            values = pyarrow.compute.if_else(is_number, plain, None)
        elif pyarrow.types.is_boolean(values.type):
            values = values.cast(pyarrow.int8())
        elif self.is_word() or not is_number_type(values.type):
            values = pyarrow.nulls(len(values))
        return values.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)

    def words(self) -> np.ndarray:
        """(R,) of strings, None where there is no value."""
        return self.values.cast(pyarrow.string()).to_numpy(zero_copy_only=False)


def to_arrow(values: np.ndarray) -> pyarrow.Array:
    """Numbers, null where one is NaN."""
    return pyarrow.array(values, from_pandas=True)


def is_number_type(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return types.is_integer(kind) or types.is_floating(kind)


@dataclass(eq=False)
class Features:
    """Features as they are put together, and what was decided.

    Attributes:
        blocks: (N, ·) each, side by side; NaN where a number is missing.
        standardised: places of the columns of numbers.
        bins: that these are put into later.
    """

    key: str
    file: Path
    bins: int | None = None
    blocks: list[np.ndarray] = field(default_factory=list)
    standardised: list[int] = field(default_factory=list)
    numeric: list[str] = field(default_factory=list)
    categories: dict[str, int] = field(default_factory=dict)
    constant: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def tensor(self) -> Tensor | None:
        if not self.blocks:
            return None
        return torch.from_numpy(np.concatenate(self.blocks, axis=1))

    def facts(self) -> dict[str, Any]:
        return {
            "numeric": _listed(self.numeric),
            **({} if self.bins is None else {"bins": self.bins}),
            "categories": self.categories,
            "constant": _listed(self.constant),
            "missing": self.missing,
            "left out": self.left_out,
        }

    def notes(self) -> list[str]:
        sizes = [f"{name} ({count})" for name, count in self.categories.items()]
        missing = [f"{name} ({count})" for name, count in self.missing.items()]
        left_out = [f"{name} ({why})" for name, why in self.left_out.items()]
        binned = self.bins is not None
        lines = {
            f"categories, up to {self.bins} by value" if binned else "standardised": self.numeric,
            f"{'one category' if binned else '0'} for each node, since all values are the same": (
                self.constant
            ),
            "categories, one-hot": sizes,
            "without a value for some nodes (taken as "
            f"{'' if binned else 'the mean, or as '}no category)": missing,
            "left out": left_out,
        }
        notes = [f"node table: {what}: {some(names)}" for what, names in lines.items() if names]
        if not self.blocks:
            notes.append("node table: it has no features; each node learns an embedding")
        return notes


def _listed(names: list[str]) -> list[str] | int:
    return names if len(names) <= _LISTED else len(names)


def some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def encode(
    key: str, file: Path, columns: Sequence[Column], rows: np.ndarray, bins: int | None = None
) -> Features:
    """Features of the nodes: numbers of mean 0 and deviation 1, and a 1 for each node's category.

    Both are taken over the nodes with a value. A node without a number has NaN, which becomes 0
    when the split is known (`runner.data.standardise`); one without a category has 0.

    Args:
        rows: (N,) int64, each node's row; -1 where it has none.
        bins: that numbers are put into when the split is known, which is told.

    Raises:
        RunnerError: if a column of numbers has a word, or an infinite value.
    """
    features = Features(key, file, bins)
    for column in columns:
        kind = column.values.type
        if not column.is_word() and not is_number_type(kind):
            features.left_out[column.name] = f"values of type {kind}"
            continue
        numbers = column.numbers()
        if _are_numbers(key, file, column, numbers):
            _add_numbers(features, column.name, numbers, rows)
        else:
            _add_categories(features, column.name, column.words(), rows)
    return features


def _are_numbers(key: str, file: Path, column: Column, numbers: np.ndarray) -> bool:
    """Whether a column is of numbers: a few words among them are mistakes.

    Numbers with zeros in front are codes, as those of places.
    """
    if column.decimal is None:
        return not column.is_word()
    is_code = pyarrow.compute.match_substring_regex(column.values, r"^[-+]?0\d")
    if pyarrow.compute.any(is_code).as_py():
        return False
    lower = pyarrow.compute.utf8_lower(column.values)
    absent = pyarrow.compute.or_(column.values.is_null(), pyarrow.compute.is_in(lower, _MISSING))
    given = ~absent.to_numpy(zero_copy_only=False)
    wrong = np.isnan(numbers) & given
    if not wrong.any() or 2 * wrong.sum() >= given.sum():
        return not wrong.any()
    row = int(wrong.argmax())
    raise RunnerError(
        f"{key}={file}: row {row + 1} has {column.values[row].as_py()!r} in column {column.name}, "
        "which is no number as most of its values; mend it, or write the others as words if they "
        "are categories"
    )


def _add_numbers(features: Features, name: str, numbers: np.ndarray, rows: np.ndarray) -> None:
    if np.isinf(numbers).any():
        raise RunnerError(
            f"{features.key}={features.file}: row {int(np.isinf(numbers).argmax()) + 1} has an "
            f"infinite value in column {name}; give a number"
        )
    known = _known(features, name, ~np.isnan(numbers), rows)
    if known is None:
        return
    values = numbers[rows[known]]
    standard = np.full((len(rows), 1), np.nan, np.float32)
    if values.min() == values.max():
        features.constant.append(name)
        standard[known, 0] = 0
    else:
        values = values / np.abs(values).max()  # whose squares are no infinite numbers
        standard[known, 0] = (values - values.mean()) / values.std()
        features.numeric.append(name)
    features.standardised.append(sum(block.shape[1] for block in features.blocks))
    features.blocks.append(standard)


def _add_categories(features: Features, name: str, words: np.ndarray, rows: np.ndarray) -> None:
    known = _known(features, name, words != None, rows)  # noqa: E711
    if known is None:
        return
    kinds, codes = np.unique(words[rows[known]].astype(str), return_inverse=True)
    if len(kinds) > _CATEGORY_SHARE * known.sum() or len(kinds) > _MOST_CATEGORIES:
        features.missing.pop(name, None)
        features.left_out[name] = f"{len(kinds)} different values of {known.sum()}"
        return
    one_hot = np.zeros((len(rows), len(kinds)), np.float32)
    one_hot[known, codes] = 1
    features.blocks.append(one_hot)
    features.categories[name] = len(kinds)


def _known(
    features: Features, name: str, has_value: np.ndarray, rows: np.ndarray
) -> np.ndarray | None:
    """(N,) bool, the nodes with a value, which are counted; None where no node has one."""
    known = (rows >= 0) & has_value[rows]
    missing = int((rows >= 0).sum() - known.sum())
    if not known.any():
        features.left_out[name] = "no values"
        return None
    if missing:
        features.missing[name] = missing
    return known
