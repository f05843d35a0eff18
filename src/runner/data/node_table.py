"""A table of node features in text: rows joined to nodes by an id, where a column has ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute
import torch
from torch import Tensor

from runner.data import column_names
from runner.data.sheet import Parsed, parse_table
from runner.errors import RunnerError

_ID_SHARE = 0.5  # of the graph's nodes that a column of ids names, at least


@dataclass(frozen=True, eq=False)
class NodeTable:
    """Columns of a node table, as read.

    Attributes:
        ids: (R,) of strings, what each row is of; None where no column says it.
        values: (R, F) float32.
        notes: what was decided, a line each.
    """

    ids: np.ndarray | None
    values: Tensor
    notes: tuple[str, ...]


def read_node_table(file: Path, nodes: Sequence[str]) -> NodeTable:
    """Read a table of numbers, with or without names of columns and a column of ids.

    Args:
        nodes: names of the graph's nodes, numbers as text.

    Raises:
        RunnerError: if a value is no number, or an id has two rows.
    """
    parsed = parse_table(file, "dataset.features")
    number = _id_column(parsed, nodes)
    wanted = [n for n in range(parsed.width) if n != number and not parsed.is_empty(n)]
    columns = [_numbers(file, parsed, n) for n in wanted]
    values = np.stack(columns, axis=1) if columns else np.empty((parsed.rows, 0), np.float32)
    notes = [] if parsed.names is None else [f"features: {', '.join(map(parsed.name, wanted))}"]
    ids = None
    if number is not None:
        ids = parsed.text(number).to_numpy(zero_copy_only=False)
        notes.append(f"features are joined by the ids in column {parsed.name(number)}")
        _refuse_repeats(file, ids)
    return NodeTable(ids, torch.from_numpy(values), tuple(notes))


def _id_column(parsed: Parsed, nodes: Sequence[str]) -> int | None:
    """The column that names nodes: called so, or the first one, with an id in each row."""
    named = [
        n for n in range(parsed.width)
        if parsed.names is not None and column_names.is_node_id(parsed.names[n])
    ]  # fmt: skip
    known = pyarrow.array(list(nodes), pyarrow.string())
    for number in (*named, 0):
        text = parsed.text(number)
        different = pyarrow.compute.unique(text)
        is_name = number in named or not _are_whole(text)
        if len(different) < len(text) and not is_name:
            continue
        hits = pyarrow.compute.sum(pyarrow.compute.is_in(different, known)).as_py() or 0
        if hits >= _ID_SHARE * len(known) and hits > 1:
            return number
    return None


def _are_whole(text: pyarrow.Array) -> bool:
    is_whole = pyarrow.compute.match_substring_regex(text, r"^\d+$")
    return bool(pyarrow.compute.all(is_whole).as_py())


def _numbers(file: Path, parsed: Parsed, number: int) -> np.ndarray:
    text = parsed.text(number)
    plain = text
    if parsed.separator != ",":
        plain = pyarrow.compute.replace_substring(text, ",", ".")
    try:
        if plain.null_count:
            raise pyarrow.ArrowInvalid
        return plain.cast(pyarrow.float64()).to_numpy(zero_copy_only=False).astype(np.float32)
    except pyarrow.ArrowInvalid:
        pass
    for row, cell in enumerate(plain.to_pylist()):
        try:
            float(cell)
        except (TypeError, ValueError):
            shown = "no value" if cell is None else repr(cell)
            raise RunnerError(
                f"dataset.features={file}: row {row + 1} has {shown} in column "
                f"{parsed.name(number)}, which is no number"
            ) from None
    return np.array([float(cell) for cell in plain.to_pylist()], dtype=np.float32)


def _refuse_repeats(file: Path, ids: np.ndarray) -> None:
    values, counts = np.unique(ids.astype(str), return_counts=True)
    if (counts > 1).any():
        raise RunnerError(
            f"dataset.features={file}: node {values[counts > 1][0]} has two rows; keep one"
        )


def joined(file: Path, table: NodeTable, nodes: Sequence[str]) -> Tensor:
    """The rows in the order of the nodes, (N, F).

    Raises:
        RunnerError: if a node has no row.
    """
    assert table.ids is not None
    row_of = {str(name): row for row, name in enumerate(table.ids)}
    missing = [name for name in nodes if name not in row_of]
    if missing:
        raise RunnerError(
            f"dataset.features={file}: {len(missing)} of the {len(nodes)} nodes have no row, as "
            f"{missing[0]!r}; give each node one"
        )
    return table.values[torch.tensor([row_of[name] for name in nodes])]
