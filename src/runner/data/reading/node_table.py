"""A table with a row for each node: joined by an id, where a column has ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute
import torch
from torch import Tensor

from runner.data.reading import column_names, columnar
from runner.data.reading.node_columns import Column
from runner.data.reading.parsed_table import Parsed, parse_table
from runner.errors import RunnerError

_ID_SHARE = 0.5  # that a column of ids names: of the graph's nodes, or of its own rows


@dataclass(frozen=True, eq=False)
class NodeTable:
    """Columns of a node table, as read.

    Attributes:
        ids: (R,) of strings, what each row is of; None where no column says it.
        id_column: its name.
    """

    key: str
    file: Path
    ids: pyarrow.Array | None
    id_column: str | None
    rows: int
    columns: Sequence[Column]

    def rows_of(self, nodes: Sequence[str]) -> np.ndarray:
        """The row of each node, (N,) int64; -1 where it has none."""
        assert self.ids is not None
        found = pyarrow.compute.index_in(pyarrow.array(nodes, pyarrow.string()), self.ids)
        return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def read_node_table(key: str, file: Path, nodes: Sequence[str]) -> NodeTable:
    """Read a table in text, Parquet or Arrow, with or without a column of ids.

    Args:
        key: of the config, which errors name.
        nodes: names of the graph's nodes, numbers as text.

    Raises:
        RunnerError: if it cannot be read, if an id has two rows, or if a column that is called
            one of ids has none of the nodes.
    """
    if columnar.kind_of(file, key) is None:
        parsed = parse_table(file, key, nodes)
    else:
        table = columnar.read_columns(file, key)
        parsed = Parsed(table, table.column_names, None)
    number, ids = _find_ids(key, file, parsed, nodes)
    if ids is not None and number is not None:
        _check_ids(key, file, parsed, number, ids, nodes)
    decimal = None if parsed.separator is None else "," if parsed.separator != "," else "."
    columns = [
        Column(parsed.name(n), parsed.cells(n), decimal)
        for n in range(parsed.width)
        if n != number and not parsed.name(n).startswith(columnar.INDEX)
    ]
    name = None if number is None else parsed.name(number)
    return NodeTable(key, file, ids, name, parsed.rows, columns)


def _find_ids(
    key: str, file: Path, parsed: Parsed, nodes: Sequence[str]
) -> tuple[int | None, pyarrow.Array | None]:
    """The column that names nodes: called so, or the first one, with an id in each row."""
    named = [
        n for n, name in enumerate(parsed.names or ())
        if column_names.is_node_id(name) or name.startswith(columnar.INDEX)
    ]  # fmt: skip
    known = pyarrow.array(list(nodes), pyarrow.string())
    for number in (*named, 0):
        cells = parsed.cells(number)
        if not (pyarrow.types.is_string(cells.type) or pyarrow.types.is_integer(cells.type)):
            continue
        text = parsed.text(number)
        whole = pyarrow.compute.replace_substring_regex(text, r"^(-?\d+)\.0+$", r"\1")
        for ids in (text, whole):
            different = pyarrow.compute.unique(ids)
            is_name = number in named or not _are_whole(ids)
            if len(different) < len(ids) and not is_name:
                continue
            hits = pyarrow.compute.sum(pyarrow.compute.is_in(different, known)).as_py() or 0
            if hits > 1 and hits >= _ID_SHARE * min(len(known), len(different)):
                return number, ids
    for number in named:
        if parsed.names is not None and column_names.is_id(parsed.names[number]):
            raise RunnerError(
                f"{key}={file}: column {parsed.name(number)} has too few of the graph's node ids "
                f"(as {nodes[0] if nodes else 'none'}) to be one of ids; give it those, or "
                "rename it"
            )
    for number in range(1, parsed.width):
        cells = parsed.cells(number)
        if not (pyarrow.types.is_string(cells.type) or pyarrow.types.is_integer(cells.type)):
            continue
        text = parsed.text(number)
        is_each = len(pyarrow.compute.unique(text)) == len(text) >= len(known) > 1
        if is_each and pyarrow.compute.all(pyarrow.compute.is_in(known, text)).as_py():
            raise RunnerError(
                f"{key}={file}: column {parsed.name(number)} has the ids of all nodes: are its "
                "rows theirs? Then call it id, or put it first; else leave it out"
            )
    return None, None


def _are_whole(text: pyarrow.Array) -> bool:
    is_whole = pyarrow.compute.match_substring_regex(text, r"^\d+$")
    return bool(pyarrow.compute.all(is_whole).as_py())


def _check_ids(
    key: str, file: Path, parsed: Parsed, number: int, ids: pyarrow.Array, nodes: Sequence[str]
) -> None:
    if ids.null_count:
        row = pyarrow.compute.index(ids.is_null(), True).as_py()
        raise RunnerError(
            f"{key}={file}: row {row + 1} has no id in column {parsed.name(number)}; fill it in, "
            "or remove the row"
        )
    counts = pyarrow.compute.value_counts(ids)
    twice = pyarrow.compute.greater(counts.field("counts"), 1)
    place = pyarrow.compute.index(twice, True).as_py()
    if place >= 0:
        raise RunnerError(
            f"{key}={file}: node {counts.field('values')[place]} has two rows; keep one"
        )
    first = ids[0].as_py()
    if parsed.names is None and not first.isdecimal() and first not in nodes:
        raise RunnerError(
            f"{key}={file}: its first row may be names of columns, or of a node without a link "
            f"({first}); give the table a first row of names, id among them"
        )
    if _are_shifted(ids, nodes):
        raise RunnerError(
            f"{key}={file}: its ids are the graph's, shifted by one; number both from 0, or both "
            "from 1"
        )


def _are_shifted(ids: pyarrow.Array, nodes: Sequence[str]) -> bool:
    if not _are_whole(ids) or not all(map(str.isdecimal, nodes)):
        return False
    found, known = ([int(number) for number in numbers] for numbers in (ids.to_pylist(), nodes))
    low, high = min(found) - min(known), max(found) - max(known)
    return low == high and abs(low) == 1


def numbers_as_they_are(table: NodeTable) -> Tensor:
    """The table's values, (R, F) float32, each of them a number.

    Raises:
        RunnerError: if one is none.
    """
    found = []
    for column in table.columns:
        if column.values.null_count == table.rows:
            continue
        numbers = column.numbers()
        if np.isnan(numbers).any():
            row = int(np.isnan(numbers).argmax())
            cell = column.values[row].as_py()
            shown = "no value" if cell is None else repr(cell)
            raise RunnerError(
                f"{table.key}={table.file}: row {row + 1} has {shown} in column {column.name}, "
                "which is no number; mend it, or read the table as dataset.nodes=…"
            )
        found.append(numbers)
    if not found:
        return torch.empty(table.rows, 0)
    with np.errstate(over="ignore"):  # what is too large is refused as infinite
        return torch.from_numpy(np.stack(found, axis=1).astype(np.float32))
