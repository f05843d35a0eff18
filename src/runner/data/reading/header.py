"""The first row of a table of links: names of columns, counts, or a link."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow
import pyarrow.compute

from runner.data.reading import column_names
from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.separators import split_line
from runner.data.reading.sheet import (
    BLANKS,
    INTEGER,
    NUMBER,
    Sheet,
    as_text,
    count_rows,
    parse,
    refuse,
)


def take_names_from_comment(sheet: Sheet) -> None:
    """The last comment before the table may name its columns (SNAP's `# FromNodeId ToNodeId`)."""
    for line in reversed(sheet.comments):
        text = line.strip().lstrip("#%/").strip()
        for separator in (sheet.separator, BLANKS):
            names = split_line(text, separator)
            if sheet.facts.get("trailing separator") and len(names) == sheet.width - 1:
                names = [*names, ""]
            if len(names) == sheet.width and column_names.ends(names) is not None:
                sheet.names = sheet.names or names
                sheet.facts["names in a comment"] = True
                return


def find_header(sheet: Sheet, keys: TableKeys) -> None:
    """Whether the first row has names, which then leave the rows."""
    if sheet.names is not None:
        return
    first, body = sheet.rows[0], sheet.rows[1:]
    if keys.header is not None:
        is_header = keys.header
    elif column_names.ends(first) is not None:
        is_header = True
    elif not body:
        is_header = not any(map(NUMBER.match, first))
    elif _is_default_header(sheet, first, body):
        is_header = True
        sheet.notes.append(f"took the first row ({','.join(first)}) as pandas' default names")
    elif _counts_first(sheet, first):
        return
    else:
        is_header = _differs_from_body(sheet, first, body)
    if is_header:
        sheet.names = first
        sheet.rows = body
        sheet.skipped += 1


def _is_default_header(sheet: Sheet, first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether 0, 1, … are pandas' names of columns: numbers that no node below has.

    A list of links may begin with 0, 1 too, and have no other link of node 0.
    """
    if not are_default_names(first):
        return False
    if any(row[n] == first[n] for row in body for n in (0, 1)):
        return False
    table = parse(sheet, skip=sheet.skipped + 1)
    columns = [as_text(table, n) for n in (0, 1)]
    has = [[_contains(column, name) for name in first[:2]] for column in columns]
    if has[0][0] or has[1][1]:
        return False
    if has[0][1] or has[1][0]:
        refuse(
            sheet,
            f"its first row ({','.join(first)}) may be pandas' names of columns, or the only link "
            "between nodes 0 and 1; say dataset.header=true or dataset.header=false",
        )
    return True


def _contains(column: pyarrow.Array, text: str) -> bool:
    return pyarrow.compute.index(column, text).as_py() >= 0


def _counts_first(sheet: Sheet, first: Sequence[str]) -> bool:
    """A first line of two numbers: as many nodes and links as follow, in either order."""
    if len(first) != 2 or not all(map(INTEGER.match, first)):
        return False
    a, b = map(int, first)
    lines = count_rows(sheet) - 1
    if lines not in (a, b):
        return False
    rest = parse(sheet, skip=sheet.skipped + 1)
    nodes = len(pyarrow.compute.unique(pyarrow.concat_arrays([as_text(rest, 0), as_text(rest, 1)])))
    if {a, b} != {nodes, lines}:
        return False
    sheet.rows = sheet.rows[1:]
    sheet.skipped += 1
    sheet.notes.append(f"took the first line as counts: {nodes} nodes, {lines} rows")
    sheet.facts["counts"] = [a, b]
    return True


def _differs_from_body(sheet: Sheet, first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    columns = list(zip(*body, strict=True))
    numeric = [any(column) and all(not c or NUMBER.match(c) for c in column) for column in columns]
    words = [bool(cell) and not NUMBER.match(cell) for cell in first]
    if any(is_number and word for is_number, word in zip(numeric, words, strict=True)):
        return True
    if any(numeric[:2]):
        return False
    table = parse(sheet, skip=sheet.skipped + 1)
    texts = [as_text(table, n) for n in range(min(2, sheet.width))]
    if any(_contains(text, cell) for text in texts for cell in first if cell):
        return False
    if column_names.are_two_kinds(first[:2]):
        return True
    refuse(
        sheet,
        f"its first row ({', '.join(first)}) may be names of columns or a link; say "
        "dataset.header=true or dataset.header=false",
    )


def are_default_names(names: Sequence[str]) -> bool:
    names = names[:-1] if names[-1] == "" else names  # behind a separator at each line's end
    return list(names) == [str(n) for n in range(len(names))]
