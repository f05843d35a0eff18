"""Edge tables: a link in each row, read by conventions that say what they decided.

The keys that a user gives come first, then names of columns, then the shapes of tables without
names. What these leave open is refused, naming the key that decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.csv
import torch

from runner.data.reading import columnar
from runner.data.reading.column_places import places_of
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
    refuse_ratings,
    refuse_real_numbers,
    refuse_second_header,
    refuse_totals,
)
from runner.data.reading.header import find_header, take_names_from_comment
from runner.data.reading.raw_graph import RawGraph, TableKeys
from runner.data.reading.sheet import (
    WORDS,
    Sheet,
    column_name,
    find_separator,
    parse,
    refuse,
    row_name,
    sample_lines,
    take_comments,
    without_excels_line,
)
from runner.data.reading.table_shapes import (
    is_adjacency_list,
    read_adjacency_list,
    read_matrix,
    refuse_oblong,
    refuse_transposed,
    with_ids,
)
from runner.data.reading.text_file import read_text
from runner.data.reading.text_scan import has_leading_zeros
from runner.data.times import YEAR_LAST, NoTime, OpenDate, read_times
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
    refuse_transposed(sheet, keys)
    if is_adjacency_list(sheet, keys):
        return read_adjacency_list(sheet)
    matrix = read_matrix(sheet, keys)
    if matrix is not None:
        return matrix
    refuse_oblong(sheet, keys)
    take_names_from_comment(sheet)
    if any(re.match(r"\s*%\s*bip\b", line) for line in sheet.comments):
        sheet.facts["kinds"] = ["sources", "targets (of a bipartite graph, as % bip says)"]
    find_header(sheet, keys)
    sheet.facts["header"] = sheet.names is not None
    return _read_links(sheet, keys)


def _read_links(sheet: Sheet, keys: TableKeys) -> RawGraph:
    skip = sheet.skipped
    table = parse(sheet, skip=skip)
    places = places_of(sheet, table, keys)
    ends = places["source"], places["target"]
    refuse_other_types(sheet, table, ends)
    refuse_labels(sheet, table, places)
    refuse_ratings(sheet, table, places, keys)
    # Numbers with zeros in front, dates and the like are names, kept as they are written.
    written = [n for n in ends if not _is_whole(table, n) or _has_leading_zeros(sheet)]
    has_fractions = any(pyarrow.types.is_floating(table.column(n).type) for n in ends)
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
        pieces = [piece.to_numpy() for column in columns for piece in column.chunks]
        both = np.concatenate(pieces, dtype=np.int64).reshape(2, -1)
        del column, columns, pieces
        return replace(with_ids(sheet, both), **timed)
    _release()
    texts = EndTexts.of([column.cast(pyarrow.string()) for column in columns])
    del columns
    _release()
    as_written = texts.values
    if has_fractions:
        texts = texts.without_exponents()
    if not {"source", "target"} <= {k for k, v in keys.columns.items() if v is not None}:
        refuse_real_numbers(sheet, texts, ends)
        refuse_mixed_kinds(sheet, texts, ends)
    refuse_second_header(sheet, keys, texts, ends)
    refuse_missing_marks(sheet, texts, ends)
    refuse_totals(sheet, texts, ends)
    refuse_overlap(sheet, keys, [texts.values.take(texts.places(end)) for end in (0, 1)])
    whole = texts.as_whole()
    if whole is not None:
        if texts.values != as_written:
            sheet.notes.append("ids in exponent form (1.000e+00) are read as whole numbers")
        return replace(with_ids(sheet, whole), **timed)
    sheet.notes.extend(texts.twins())
    names = texts.values.to_numpy(zero_copy_only=False)
    sheet.notes.append(f"numbered {len(names)} names in the order of their first appearance")
    edges = torch.from_numpy(texts.codes)
    return RawGraph(
        edges, len(names), names=names, notes=tuple(sheet.notes), facts=sheet.facts, **timed
    )


def _read_times(
    sheet: Sheet, table: pyarrow.Table, places: Mapping[str, int], keys: TableKeys
) -> dict[str, Any]:
    """The links' times; a found column without them is refused once a split asks for times."""
    if "time" not in places:
        return {}
    column, name = table.column(places["time"]), column_name(sheet, places["time"])
    try:
        times = read_times(column)
        written = str(column[0])
        if YEAR_LAST.match(written):
            sheet.notes.append(f"{written} is read as {times.words(int(times.values[0]))}")
        return {"times": times}
    except OpenDate as error:
        why = (
            f"dates as {error.value!r}, in the column of times, {name}, may have the day or the "
            "month first; write ISO dates (YYYY-MM-DD)"
        )
    except NoTime as error:
        said = f"{str(error.value)!r}, which is no exact time" if error.value != "" else "no value"
        why = (
            f"{row_name(sheet, error.row)} has {said}, in the column of times, {name}; mend it "
            "(2024-05-31 14:00:00, or a number)"
        )
    why += ", or name another column with dataset.columns.time=…"
    if keys.columns.get("time") is not None:
        refuse(sheet, why)
    return {"untimed": f"{sheet.key}={sheet.file}: {why}"}


def _release() -> None:
    """Give back what pyarrow keeps, as much as the columns again, before more memory is taken."""
    pyarrow.default_memory_pool().release_unused()


def _has_leading_zeros(sheet: Sheet) -> bool:
    text = sheet.text
    if sheet.separator[-1] in ".:-+/TeE":  # which parts of dates and fractions have too
        text = text.replace(sheet.separator.encode(), b" ")
    return has_leading_zeros(text)


def _is_whole(table: pyarrow.Table, number: int) -> bool:
    return pyarrow.types.is_integer(table.column(number).type)


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
