"""A text as a table of cells: its comments, separator, titles, and what a library parses of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import pyarrow
import pyarrow.compute
import pyarrow.csv

from runner.data.reading import column_names
from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.separators import (
    BLANKS,
    INTEGER,
    NUMBER,
    SEPARATORS,
    UNIT,
    WORDS,
    Cut,
    best_of,
    cut,
    objection,
)
from runner.data.reading.text_file import read_text
from runner.data.reading.text_scan import comment_lines
from runner.errors import RunnerError

SAMPLE = 1000  # lines
SAMPLE_BYTES = 1 << 20
_WORD = re.compile(r"[^\W\d_]{3}(?<!(?i:nan|inf))")  # no number, date, or word for none of these
_LEAST_TIME = 10**8  # of the times in seconds that people have
_BLACK = re.compile(rb"[^\n]")


@dataclass
class Sheet:
    """A table as rows of fields, as far as it is looked at before its columns are read.

    Attributes:
        text: that is still to be parsed; empty where `table` holds typed columns already.
    """

    file: Path
    text: bytes
    key: str = "dataset.path"
    separator: str = ","
    rows: list[list[str]] = field(default_factory=list)  # of the sample, without comments
    table: pyarrow.Table | None = None
    width: int = 0
    names: list[str] | None = None
    skipped: int = 0  # lines before the first row of the table, without comments and blank ones
    comments: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def refuse(sheet: Sheet, what: str) -> NoReturn:
    raise RunnerError(f"{sheet.key}={sheet.file}: {what}")


def column_name(sheet: Sheet, number: int) -> str:
    return (sheet.names[number] if sheet.names else "") or f"number {number}"


def row_name(sheet: Sheet, row: int) -> str:
    """A row's number from 1, and in a text its line, comments and blank lines counted."""
    said = f"row {row + 1}"
    return said if sheet.table is not None else f"{said} (line {_line_of(sheet, row)})"


def _line_of(sheet: Sheet, row: int) -> int:
    text, _ = read_text(sheet.file, sheet.facts["encoding"])
    seen = -sheet.skipped - 1
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.strip() and not re.match(rb"[ \t]*(#|%|//)", line):
            seen += 1
            if seen == row:
                return number
    return row + 1


def take_comments(sheet: Sheet) -> None:
    """Remove lines of comments; a mark before a row of the table may be a name."""
    text = sheet.text
    lines = comment_lines(text)
    if not lines:
        return
    bounds = [0, *(bound for line in lines for bound in line), len(text)]
    between = [text[begin:end] for begin, end in zip(bounds[::2], bounds[1::2], strict=True)]
    kept = b"".join(between)
    top = next((n for n, part in enumerate(between) if part.strip()), len(between))
    inside = len(lines) - top
    if not kept.strip() or inside > kept.count(b"\n") // 10 + 3:
        refuse(
            sheet,
            f"{len(lines)} lines begin with a mark of comments (#, % or //) among rows; "
            "if these are names, put quotes around them",
        )
    sheet.comments = [text[begin:end].decode().rstrip("\n") for begin, end in lines]
    sheet.text = kept
    sheet.facts["comment lines"] = len(sheet.comments)
    if inside:
        sheet.notes.append(f"left out {inside} lines of comments among the rows")


def without_excels_line(sheet: Sheet, keys: TableKeys) -> TableKeys:
    """Excel says the separator in a first line of its own: `sep=;`."""
    found = re.match(rb"\s*\"?sep=(.)\"?[ \t]*\n", sheet.text, re.IGNORECASE)
    if found is None:
        return keys
    sheet.text = sheet.text[found.end() :]
    return keys if keys.separator is not None else replace(keys, separator=found[1].decode())


def count_rows(sheet: Sheet) -> int:
    """The lines of the text that are not blank, but for those before the table."""
    text = sheet.text
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    if text[:1].isspace() or any(mark in text for mark in (b"\n\n", b"\n ", b"\n\t")):
        lines = sum(1 for line in text.split(b"\n") if line.strip())
    return lines - sheet.skipped


def sample_lines(text: bytes) -> list[str]:
    end = text.find(b"\n", SAMPLE_BYTES)
    part = text if end < 0 else text[:end]
    return [line.decode() for line in part.split(b"\n") if line.strip()][:SAMPLE]


def find_separator(sheet: Sheet, lines: Sequence[str], keys: TableKeys) -> None:
    """Choose the separator that gives every line as many fields; width 0 where none does."""
    if keys.separator is not None:
        wanted = WORDS.get(keys.separator, keys.separator)
        candidates: Sequence[str] = (BLANKS if wanted == "blanks" else wanted,)
    else:
        candidates = SEPARATORS
    cuts = [cut(lines, separator) for separator in candidates]
    best = best_of(cuts)
    if best is not None and not _are_rows(sheet, best):
        said = objection(best, cuts)
        if said is not None:
            refuse(sheet, said)
        sheet.separator, sheet.width, sheet.skipped = best.separator, best.width, best.titles
        sheet.rows = best.rows[best.titles :]
        if _names_of_rows(sheet, best, keys):
            sheet.names = ["", *best.rows[0]]
            sheet.notes.append("the first column has no name: taken as names of rows")
        elif best.titles:
            _take_titles(sheet, lines[: best.titles])
        _drop_empty_column(sheet)
        return
    most = max(cuts, key=lambda cut: (sum(len(row) > 1 for row in cut.rows), cut.separator))
    sheet.separator, sheet.rows = most.separator, most.rows
    if any(len(row) > 1 for row in most.rows):
        return
    if keys.separator is not None:
        raise RunnerError(
            f"dataset.separator={keys.separator}: {sheet.file} has rows of one field then"
        )
    refuse(sheet, "an edge list has two columns of node ids, this file one; is its "
            "separator another (dataset.separator=…)?")  # fmt: skip


def _are_rows(sheet: Sheet, cut: Cut) -> bool:
    """Whether lines above the others hold what these hold: an adjacency list has such lines."""
    body = cut.rows[cut.titles :]
    if not cut.titles or cut.rows[0] == [row[0] for row in body]:  # R's matrix
        return False
    known = {cell for row in body for cell in row[:2]}
    for row in cut.rows[: cut.titles]:
        if len(row) > 1 and all(NUMBER.match(cell) or cell in known for cell in row):
            # But for counts of nodes and links.
            return len(row) != 2 or str(count_rows(sheet) - cut.titles) not in row
    return False


def _names_of_rows(sheet: Sheet, cut: Cut, keys: TableKeys) -> bool:
    """Whether the first line names all columns but the first, as R does, which names rows too."""
    header = cut.rows[0]
    if cut.titles != 1 or not 2 <= len(header) == cut.width - 1:
        return False
    first = [row[0] for row in cut.rows[1:]]
    if header == first:  # of a matrix
        return True
    if all(map(NUMBER.match, header)):
        return False
    if _name_rows(first):
        return True
    if column_names.ends(header) is not None and not keys.name_columns:
        refuse(
            sheet,
            f"its first line names {len(header)} columns ({', '.join(header)}), its rows have "
            f"{cut.width}; say dataset.columns.source=… dataset.columns.target=… by number, from 0",
        )
    return False


def _name_rows(cells: Sequence[str]) -> bool:
    """Names of rows are distinct: words, or numbers that ascend and are no times."""
    if len(set(cells)) < len(cells):
        return False
    if not all(map(INTEGER.match, cells)):
        return not any(cell[:1].isdigit() for cell in cells)
    numbers = [int(cell) for cell in cells]
    return numbers == sorted(numbers) and numbers[-1] < _LEAST_TIME


def _take_titles(sheet: Sheet, lines: Sequence[str]) -> None:
    said = "; ".join(line.strip() for line in lines)[:100]
    sheet.notes.append(f"left out {len(lines)} lines before the table: {said}")


def _drop_empty_column(sheet: Sheet) -> None:
    """A separator at the end of every line makes a last column without a name and values."""
    body = sheet.rows[1:] if len(sheet.rows) > 1 else sheet.rows
    if sheet.width > 2 and all(row[-1] == "" for row in [*body, sheet.rows[0]]):
        sheet.facts["trailing separator"] = True


def parse(sheet: Sheet, *, skip: int, as_text: Sequence[int] = ()) -> pyarrow.Table:
    if sheet.table is not None:
        return sheet.table
    text, separator = sheet.text, sheet.separator
    if separator == BLANKS:
        if b'"' in text:
            text = re.sub(rb'("[^"\n]*")|[ \t]+', lambda m: m.group(1) or b" ", text)
        else:
            text = text.replace(b"\t", b" ")
            while b"  " in text:
                text = text.replace(b"  ", b" ")
        text = text.replace(b"\n ", b"\n").replace(b" \n", b"\n").strip(b" ")
    elif len(separator) > 1:
        text = text.replace(separator.encode(), UNIT.encode())
        separator = UNIT
    begin = _after_lines(text, skip)
    if not _BLACK.search(text, begin):
        refuse(sheet, "the file holds a header and no edges")
    names = [str(n) for n in range(sheet.width)]
    # pyarrow holds all of a column twice until it has found out that it holds words.
    words = {n for row in sheet.rows[:SAMPLE] for n in range(sheet.width) if _WORD.match(row[n])}
    lost: list[Any] = []

    def keep(row: Any) -> str:
        lost.append(row)
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(pyarrow.py_buffer(text).slice(begin)),
            read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=True),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=separator, newlines_in_values=False,
                invalid_row_handler=keep,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={str(n): pyarrow.string() for n in {*as_text, *words}},
                null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True,
                true_values=[], false_values=[], auto_dict_encode=False,
            ),
        )  # fmt: skip
    except pyarrow.ArrowInvalid as error:
        refuse(sheet, f"it cannot be read as a table ({str(error).splitlines()[0]})")
    if lost:
        row = lost[0]
        at = f"line {row.number + sheet.skipped}: " if row.number else ""
        refuse(
            sheet,
            f"{at}{row.text!r} has {row.actual_columns} fields, the first rows have "
            f"{row.expected_columns}; mend the row, or put quotes around a name with a separator",
        )
    if b'"' in text:
        _require_closed_quotes(sheet, text, begin, table.num_rows)
    return table


def _require_closed_quotes(sheet: Sheet, text: bytes, begin: int, rows: int) -> None:
    """The parser takes the lines behind an open quote as parts of one cell."""
    end = len(text)
    while text[end - 1] == ord("\n"):
        end -= 1
    lines = text.count(b"\n", begin, end) + 1
    if lines != rows:
        blank = re.compile(rb"\n(\n+)")
        lines -= sum(len(found[1]) for found in blank.finditer(text, begin, end))
    if rows != lines or text.count(b'"', text.rfind(b"\n", begin, end) + 1, end) % 2:
        refuse(sheet, 'a quote (") stays open at the end of its line; close it, or remove it')


def _after_lines(text: bytes, count: int) -> int:
    """Where the line after some others begins; blank ones do not count."""
    begin = 0
    for _ in range(count + 1):
        found = _BLACK.search(text, begin)
        if found is None:
            return len(text)
        line, begin = text.rfind(b"\n", 0, found.start()) + 1, text.find(b"\n", found.start())
        begin = begin + 1 or len(text)
    return line


def as_text(table: pyarrow.Table, number: int) -> pyarrow.Array:
    column = table.column(number).combine_chunks()
    column = column.cast(pyarrow.string())
    return pyarrow.compute.utf8_trim_whitespace(column)
