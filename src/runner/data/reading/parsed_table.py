"""Any table of text, as of nodes: its cells, and the names of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import pyarrow.compute

from runner.data.reading import column_names
from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.separators import split_line
from runner.data.reading.sheet import (
    NUMBER,
    SEPARATORS,
    Sheet,
    as_text,
    find_separator,
    parse,
    refuse,
    sample_lines,
    take_comments,
)
from runner.data.reading.text_file import read_text
from runner.errors import RunnerError


@dataclass(frozen=True, eq=False)
class Parsed:
    """A table, parsed: its cells, and the names of its columns if it has any.

    Attributes:
        separator: of the text that it was; None where its columns have types.
    """

    table: pyarrow.Table
    names: list[str] | None
    separator: str | None

    @property
    def width(self) -> int:
        return self.table.num_columns

    @property
    def rows(self) -> int:
        return self.table.num_rows

    def name(self, number: int) -> str:
        return (self.names[number] if self.names else "") or f"number {number}"

    def text(self, number: int) -> pyarrow.Array:
        """The cells of a column, (R,), without blanks around them; null where one is empty."""
        text = as_text(self.table, number)
        return pyarrow.compute.if_else(pyarrow.compute.equal(text, ""), None, text)

    def cells(self, number: int) -> pyarrow.Array:
        """The cells of a column, (R,), of their type if they have one, else like `text`."""
        if self.separator is None:
            return self.table.column(number).combine_chunks()
        return self.text(number)


def parse_table(file: Path, key: str, nodes: Sequence[str]) -> Parsed:
    """Any table of text, of one column or more.

    A first row of names is told by the types below it, or by a name as `id` that is no node.

    Raises:
        RunnerError: naming the key, if it cannot be read.
    """
    text, encoding = read_text(file, key=key)
    sheet = Sheet(file, text, key)
    sheet.facts["encoding"] = encoding
    take_comments(sheet)
    lines = sample_lines(sheet.text)
    if not lines:
        raise RunnerError(f"{key}={file}: the file holds no rows")
    if all(len(split_line(line, separator)) < 2 for line in lines for separator in SEPARATORS):
        sheet.width, sheet.rows = 1, [[line.strip()] for line in lines]
    else:
        find_separator(sheet, lines, TableKeys())
    if sheet.width == 0:
        widths = sorted({len(row) for row in sheet.rows})
        refuse(sheet, f"its rows have different numbers of fields ({widths[0]} to {widths[-1]})")
    if sheet.names is None and len(sheet.rows) > 1:
        first, body = sheet.rows[0], sheet.rows[1:]
        columns = list(zip(*body, strict=True))
        named = [
            bool(cell) and not NUMBER.match(cell) and all(map(NUMBER.match, filter(None, column)))
            for cell, column in zip(first, columns, strict=True)
        ]
        has_id = any(map(column_names.is_node_id, first)) and set(first).isdisjoint(nodes)
        if any(named) or has_id:
            sheet.names, sheet.skipped = first, sheet.skipped + 1
    table = parse(sheet, skip=sheet.skipped, as_text=range(sheet.width))
    return Parsed(table, sheet.names, sheet.separator)
