"""Which columns of a table of links are its ends, its weight and its time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow

from runner.data.reading import column_names
from runner.data.reading.ends import refuse_shuffled_index
from runner.data.reading.header import are_default_names
from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.sheet import INTEGER, NUMBER, Sheet, refuse
from runner.data.times import DATE, UNIX_TIMES, YEAR_LAST
from runner.errors import RunnerError


def places_of(sheet: Sheet, table: pyarrow.Table, keys: TableKeys) -> dict[str, int]:
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
        if are_default_names(names):
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
    if all(map(DATE.match, cells)) or all(map(YEAR_LAST.match, cells)):
        return True
    if not all(map(INTEGER.match, cells)):
        return False
    low, high = UNIX_TIMES
    return all(low <= int(cell) <= high for cell in cells)
