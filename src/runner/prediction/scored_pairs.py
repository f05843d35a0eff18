"""Scores of all pairs of a table, in its order, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow
import torch

from runner.prediction import table_writer
from runner.prediction.node_labels import SIDES
from runner.prediction.pair_tables import Block, PairTable

if TYPE_CHECKING:
    from runner.prediction.run import Run

_ADDED = (
    ("score", pyarrow.float64()), ("probability", pyarrow.float64()), ("known", pyarrow.bool_()),
    ("reason", pyarrow.string()),
)  # fmt: skip


@dataclass
class Outcome:
    """Rows with a score, rows without, and the first reason for none."""

    scored: int = 0
    unscored: int = 0
    first: str = ""


def score_table(
    run: Run,
    pairs: PairTable,
    output: Path,
    *,
    show: Callable[[int, int], None] = lambda done, of: None,
) -> Outcome:
    """Write every row with all its columns, and `score`, `probability`, `known` and `reason`.

    A row that is no pair of two nodes keeps its place, with an empty score and the reason.

    Args:
        show: called after each block with the bytes that are read, and those of the file.

    Raises:
        RunnerError: if the table has such a column already, or cannot be written.
    """
    schema = pairs.schema
    for name, kind in _ADDED:
        schema = schema.append(pyarrow.field(name, kind))
    outcome, row = Outcome(), 0
    with table_writer.written(output, schema) as write:
        for block in pairs.blocks:
            write(_scored(run, pairs, block, outcome, row))
            row += block.table.num_rows
            show(block.position, pairs.size)
    return outcome


def _scored(
    run: Run, pairs: PairTable, block: Block, outcome: Outcome, begin: int
) -> pyarrow.Table:
    ends = [_combined(block.table.column(place)) for place in (pairs.source, pairs.target)]
    numbers = [run.nodes.find(end, side) for end, side in zip(ends, SIDES, strict=True)]
    unknown = [number < 0 for number in numbers]
    is_bad = unknown[0] | unknown[1] | (numbers[0] == numbers[1])
    is_bad[list(block.reasons)] = True
    reasons: list[str | None] = [None] * len(is_bad)
    for place in np.flatnonzero(is_bad).tolist():
        texts = [end[place].as_py() for end in ends]
        reasons[place] = block.reasons.get(place) or _reason(
            texts, [bool(u[place]) for u in unknown]
        )
    good = np.flatnonzero(~is_bad)
    found = torch.from_numpy(np.stack(numbers)[:, good])
    scores, probabilities, known = run.score_numbers(found)
    bad = np.flatnonzero(is_bad)
    if len(bad) and not outcome.first:
        outcome.first = f"row {begin + int(bad[0]) + 1}: {reasons[int(bad[0])]}"
    outcome.scored += len(good)
    outcome.unscored += len(bad)
    table = block.table
    for (name, kind), values in zip(_ADDED[:3], (scores, probabilities, known), strict=True):
        full = np.zeros(len(is_bad), dtype=values.dtype)
        full[good] = values
        none = is_bad | np.isnan(full) if name == "probability" else is_bad
        table = table.append_column(name, pyarrow.array(full, kind, mask=none))
    return table.append_column("reason", pyarrow.array(reasons, pyarrow.string()))


def _combined(column: pyarrow.ChunkedArray) -> pyarrow.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _reason(texts: list[object], unknown: list[bool]) -> str:
    for text, is_unknown in zip(texts, unknown, strict=True):
        if is_unknown:
            return "an end is empty" if text in (None, "") else f"no node is called {text}"
    return "a node with itself"
