"""Edge tables: a link in each row, read by conventions that say what they decided.

The keys that a user gives come first, then names of columns, then the shapes of tables without
names. What these leave open is refused, naming the key that decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.csv
import torch

from runner.data.reading import column_names, columnar
from runner.data.reading.end_texts import EndTexts
from runner.data.reading.ends import (
    refuse_empty_ends,
    refuse_labels,
    refuse_minus_one,
    refuse_missing_marks,
    refuse_mixed_kinds,
    refuse_other_formats,
    refuse_other_types,
    refuse_overlap,
    refuse_real_numbers,
    refuse_second_header,
    refuse_shuffled_index,
)
from runner.data.reading.raw_graph import RawGraph, TableKeys
from runner.data.reading.sheet import (
    BLANKS,
    INTEGER,
    NUMBER,
    WORDS,
    Sheet,
    as_text,
    column_name,
    find_separator,
    parse,
    refuse,
    row_name,
    sample_lines,
    split_line,
    take_comments,
    without_excels_line,
)
from runner.data.reading.table_shapes import (
    is_adjacency_list,
    read_adjacency_list,
    read_matrix,
    with_ids,
)
from runner.data.reading.text_file import read_text
from runner.data.reading.text_scan import has_leading_zeros
from runner.data.times import DATE, UNIX_TIMES, NoTime, read_times
from runner.errors import RunnerError


def read_edge_table(file: Path, keys: TableKeys) -> RawGraph:
    """Read a table of links, in text or in typed columns.

    Raises:
        RunnerError: if the conventions leave something open, or the file has no links.
    """
    if columnar.kind_of(file) is not None:
        return _read_links(columnar.edge_sheet(file, keys), keys)
    sheet = Sheet(file, b"")  # the only one to hold a large text
    sheet.text, sheet.facts["encoding"] = read_text(file, keys.encoding)
    take_comments(sheet)
    keys = without_excels_line(sheet, keys)
    lines = sample_lines(sheet.text)
    if not lines:
        raise RunnerError(f"dataset.path={file}: the file holds no edges")
    refuse_other_formats(sheet, lines)
    if keys.encoding is None and sheet.facts["encoding"] == "latin-1":
        sheet.notes.append("read as Latin-1, since it is no UTF-8; else say dataset.encoding=…")
    find_separator(sheet, lines, keys)
    sheet.facts["separator"] = WORDS.get(sheet.separator, sheet.separator)
    if is_adjacency_list(sheet, keys):
        return read_adjacency_list(sheet)
    matrix = read_matrix(sheet, keys)
    if matrix is not None:
        return matrix
    _take_names_from_comment(sheet)
    if any(re.match(r"\s*%\s*bip\b", line) for line in sheet.comments):
        sheet.facts["kinds"] = ["sources", "targets (of a bipartite graph, as % bip says)"]
    _find_header(sheet, keys)
    sheet.facts["header"] = sheet.names is not None
    return _read_links(sheet, keys)


def _take_names_from_comment(sheet: Sheet) -> None:
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


def _find_header(sheet: Sheet, keys: TableKeys) -> None:
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
    if not _all_default(first):
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
    lines = sum(1 for line in sheet.text.split(b"\n") if line.strip()) - sheet.skipped - 1
    if lines not in (a, b):
        return False
    rest = parse(sheet, skip=sheet.skipped + 1)
    nodes = len(pyarrow.compute.unique(pyarrow.concat_arrays([as_text(rest, 0), as_text(rest, 1)])))
    if {a, b} != {nodes, lines} and (a, b) not in ((nodes, lines), (lines, nodes)):
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


def _read_links(sheet: Sheet, keys: TableKeys) -> RawGraph:
    skip = sheet.skipped
    table = parse(sheet, skip=skip)
    places = _places(sheet, table, keys)
    ends = places["source"], places["target"]
    refuse_other_types(sheet, table, ends)
    refuse_labels(sheet, table, places)
    # Numbers with zeros in front, dates and the like are names, kept as they are written.
    written = [n for n in ends if not _is_whole(table, n) or _has_leading_zeros(sheet)]
    if any(not pyarrow.types.is_string(table.column(n).type) for n in written):
        table = parse(sheet, skip=skip, as_text=written)
    sheet.text = b""  # a large one is in the table now
    refuse_empty_ends(sheet, table, ends)
    sheet.facts["columns"] = {
        what: sheet.names[n] if sheet.names else n for what, n in places.items()
    }
    _note_columns(sheet, places)
    timed = _read_times(sheet, table, places, keys)
    columns = [table.column(n) for n in ends]
    del table
    if not written:
        for column, number in zip(columns, ends, strict=True):
            refuse_minus_one(sheet, column, number)
        refuse_overlap(sheet, keys, columns)
        both = np.stack([column.to_numpy() for column in columns], dtype=np.int64)
        del column, columns
        return replace(with_ids(sheet, both), **timed)
    texts = EndTexts.of([column.cast(pyarrow.string()) for column in columns])
    del columns
    if not {"source", "target"} <= {k for k, v in keys.columns.items() if v is not None}:
        refuse_real_numbers(sheet, texts, ends)
        refuse_mixed_kinds(sheet, texts, ends)
    refuse_second_header(sheet, keys, texts, ends)
    refuse_missing_marks(sheet, texts, ends)
    refuse_overlap(sheet, keys, [texts.values.take(texts.places(end)) for end in (0, 1)])
    whole = texts.as_whole()
    if whole is not None:
        return replace(with_ids(sheet, whole), **timed)
    sheet.notes.extend(texts.twins())
    names = texts.values.to_numpy(zero_copy_only=False)
    sheet.notes.append(f"numbered {len(names)} names in the order of their first appearance")
    edges = torch.from_numpy(texts.codes.astype(np.int64))
    return RawGraph(
        edges, len(names), names=names, notes=tuple(sheet.notes), facts=sheet.facts, **timed
    )


def _read_times(
    sheet: Sheet, table: pyarrow.Table, places: Mapping[str, int], keys: TableKeys
) -> dict[str, Any]:
    """The links' times; a found column without them is refused once a split asks for times."""
    if "time" not in places:
        return {}
    try:
        return {"times": read_times(table.column(places["time"]))}
    except NoTime as error:
        said = f"{str(error.value)!r}, which is no exact time" if error.value != "" else "no value"
        why = (
            f"{row_name(sheet, error.row)} has {said}, in the column of "
            f"times, {column_name(sheet, places['time'])}; mend it (2024-05-31 14:00:00, or a "
            "number), or name another column with dataset.columns.time=…"
        )
    if keys.columns.get("time") is not None:
        refuse(sheet, why)
    return {"untimed": f"{sheet.key}={sheet.file}: {why}"}


def _has_leading_zeros(sheet: Sheet) -> bool:
    text = sheet.text
    if sheet.separator[-1] in ".:-+/TeE":  # which parts of dates and fractions have too
        text = text.replace(sheet.separator.encode(), b" ")
    return has_leading_zeros(text)


def _is_whole(table: pyarrow.Table, number: int) -> bool:
    return pyarrow.types.is_integer(table.column(number).type)


def _places(sheet: Sheet, table: pyarrow.Table, keys: TableKeys) -> dict[str, int]:
    """The numbers of the columns: source, target, and weight and time where there are any."""
    given = {what: _place_of(sheet, what, value) for what, value in keys.columns.items()
             if value is not None}  # fmt: skip
    if {"source", "target"} <= set(given):
        if given["source"] == given["target"]:
            raise RunnerError(
                f"dataset.columns.target={keys.columns['target']}: it is the column of the sources "
                "too; name two columns"
            )
        return given
    if given.keys() & {"source", "target"}:
        missing = "target" if "source" in given else "source"
        raise RunnerError(f"dataset.columns.{missing}: a column is needed; give both ends")
    named = sheet.names is not None
    found = _places_by_name(sheet, table) if named else _places_by_shape(sheet, table)
    return {**found, **given}


def _place_of(sheet: Sheet, what: str, value: str | int) -> int:
    names = sheet.names
    if names is not None and str(value) in names:
        return names.index(str(value))
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, int) and 0 <= value < sheet.width:
        return value
    known = ", ".join(names) if names is not None else f"0 to {sheet.width - 1}"
    raise RunnerError(
        f"dataset.columns.{what}={value}: {sheet.file} has no such column; it has {known}"
    )


def _places_by_name(sheet: Sheet, table: pyarrow.Table) -> dict[str, int]:
    assert sheet.names is not None
    names = sheet.names
    found = {
        what: number for what, number in column_names.others(names).items() if number is not None
    }
    times = [n for n, kind in enumerate(table.schema.types) if _is_time(kind)]
    if len(times) == 1:
        found.setdefault("time", times[0])
    ends = column_names.ends(names)
    if ends is not None:
        found = {what: number for what, number in found.items() if number not in ends}
    else:
        rest = [n for n, name in enumerate(names) if n not in found.values() and name]
        if _all_default(names):
            return _places_by_shape(sheet, table)
        if len(rest) != 2 or any(column_names.is_row_number(names[n]) for n in rest):
            refuse(
                sheet,
                f"which of its columns are the ends of links? It has {', '.join(names)}; say "
                "dataset.columns.source=… dataset.columns.target=…",
            )
        ends = rest[0], rest[1]
        if not column_names.are_alike(names[ends[0]], names[ends[1]]):
            sheet.facts["kinds"] = [names[ends[0]], names[ends[1]]]
    return {"source": ends[0], "target": ends[1], **found}


def _is_time(kind: pyarrow.DataType) -> bool:
    return pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind)


def _all_default(names: Sequence[str]) -> bool:
    names = names[:-1] if names[-1] == "" else names  # behind a separator at each line's end
    return list(names) == [str(n) for n in range(len(names))]


def _places_by_shape(sheet: Sheet, table: pyarrow.Table) -> dict[str, int]:
    first = 0
    columns = list(zip(*sheet.rows, strict=True))
    if sheet.width >= 3 and _are_row_numbers(table.column(0)) and _can_be_ends(columns[1:3]):
        if len(set(columns[1])) == len(columns[1]):
            refuse(
                sheet,
                "its first column may count the rows, or hold the sources of links: each value of "
                "the second stands there once too; say dataset.columns.source=… "
                "dataset.columns.target=…",
            )
        first = 1
        sheet.notes.append("took the first column as row numbers: it counts the rows")
    elif sheet.width >= 3:
        refuse_shuffled_index(sheet, table)
    found = {"source": first, "target": first + 1}
    times = [number for number in found.values() if _are_times(list(filter(None, columns[number])))]
    if sheet.width > first + 2 and len(times) == 1:
        refuse(
            sheet,
            f"column number {times[0]} holds times: which columns are the ends of links? Say "
            "dataset.columns.source=… dataset.columns.target=…",
        )
    for number in range(first + 2, sheet.width):
        cells = [cell for cell in columns[number] if cell]
        if not cells:
            continue
        if _are_times(cells):
            found.setdefault("time", number)
        elif number == first + 2 and all(map(NUMBER.match, cells)):
            found["weight"] = number
        elif number == first + 2 and "" not in columns[number]:
            refuse(
                sheet,
                f"column number {number} has words, as {cells[0]!r}: is it an end of the links, or "
                "their kind? Say dataset.columns.source=… dataset.columns.target=…",
            )
    return found


def _are_row_numbers(column: pyarrow.ChunkedArray) -> bool:
    if len(column) < 2 or not pyarrow.types.is_integer(column.type) or column.null_count:
        return False
    numbers = column.to_numpy()
    return numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())


def _can_be_ends(columns: Sequence[Sequence[str]]) -> bool:
    """Names or whole numbers, and among them a node that several rows have."""
    for column in columns:
        if any(NUMBER.match(c) and not INTEGER.match(c) for c in column) or _are_times(column):
            return False
    if len(columns) == 2 and len(set(columns[1])) == 1:
        return False
    return all(cell for column in columns for cell in column)


def _are_times(cells: Sequence[str]) -> bool:
    if all(map(DATE.match, cells)):
        return True
    if not all(map(INTEGER.match, cells)):
        return False
    low, high = UNIX_TIMES
    return all(low <= int(cell) <= high for cell in cells)


def _note_columns(sheet: Sheet, places: dict[str, int]) -> None:
    def name(number: int) -> str:
        return column_name(sheet, number)

    said = [f"{what} {name(number)}" for what, number in places.items()]
    last = sheet.width - (1 if sheet.facts.get("trailing separator") else 0)
    ignored = [name(n) for n in range(last) if n not in places.values()]
    line = f"columns: {', '.join(said)}"
    if ignored:
        line += f"; ignored: {', '.join(ignored)}"
    sheet.notes.append(line)
    if "weight" in places:
        sheet.notes.append("weights are not used")
        sheet.facts["weights ignored"] = True
