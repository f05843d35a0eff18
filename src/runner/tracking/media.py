"""Media of a run: plain data, which a tracker converts into its own types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Rows of cells, one for each column; the cells of a column are of one type, or None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Histogram:
    """Number of values between one edge and the next; there is one more edge than counts."""

    counts: Sequence[int]
    edges: Sequence[float]


@dataclass(frozen=True)
class Lines:
    """Curves over one axis, by name; each has as many values as ``x``."""

    title: str
    x_name: str
    x: Sequence[float]
    lines: Mapping[str, Sequence[float]]


Medium = Table | Histogram | Lines
