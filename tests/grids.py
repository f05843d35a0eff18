"""A grid of several axes without its full product."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

import pytest


def cover(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Few combinations that hold every pair of values of every two axes."""
    rows = list(product(*(range(len(axis)) for axis in axes)))

    def pairs(row: tuple[int, ...]) -> set[tuple[tuple[int, int], ...]]:
        return set(combinations(enumerate(row), 2))

    missing, chosen = set().union(*map(pairs, rows)), []
    while missing:
        chosen.append(max(rows, key=lambda row: len(pairs(row) & missing)))
        missing -= pairs(chosen[-1])
    return [tuple(axis[at] for axis, at in zip(axes, row, strict=True)) for row in sorted(chosen)]


def every_pair(*, indirect: Sequence[str] = (), **axes: Sequence[Any]) -> pytest.MarkDecorator:
    """`parametrize` over `cover` of the axes, which are argument names with their values.

    Args:
        indirect: those of the arguments that are fixtures.
    """
    return pytest.mark.parametrize(tuple(axes), cover(*axes.values()), indirect=indirect)
