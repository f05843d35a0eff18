"""Columns of ends that are refused: what stands in them names no nodes, or two kinds of them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow
import pyarrow.compute
import pyarrow.csv

from runner.data import column_names
from runner.data.raw_graph import TableKeys
from runner.data.sheet import Sheet, column_name, refuse, row_name

_MISSING = ("nan", "na", "n/a", "none", "null", "inf", "-inf", "-", "--", "?", "-1")


def refuse_other_types(sheet: Sheet, table: pyarrow.Table, ends: Sequence[int]) -> None:
    """Typed columns of something else than whole numbers and text, as of times or lists."""
    if sheet.table is None:
        return
    for number in ends:
        kind = table.column(number).type
        if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_string(kind)):
            refuse(
                sheet,
                f"column {column_name(sheet, number)} holds values of type {kind}, which are no "
                "node ids; name the columns of the ends (dataset.columns.source=… "
                "dataset.columns.target=…)",
            )


def refuse_real_numbers(sheet: Sheet, texts: Sequence[pyarrow.Array], ends: Sequence[int]) -> None:
    for text, number in zip(texts, ends, strict=True):
        is_real = pyarrow.compute.match_substring_regex(text, r"^[-+]?\d*[.,]\d*[1-9]\d*$")
        is_number = pyarrow.compute.match_substring_regex(text, r"^[-+]?[\d.,]+$")
        if pyarrow.compute.all(is_number).as_py() and pyarrow.compute.any(is_real).as_py():
            row = int(pyarrow.compute.index(is_real, True).as_py())
            refuse(
                sheet,
                f"{text[row].as_py()!r} in column {column_name(sheet, number)} (row {row + 1}) is "
                "no node id; name the columns of the ends (dataset.columns.source=… "
                "dataset.columns.target=…)",
            )


def refuse_mixed_kinds(sheet: Sheet, texts: Sequence[pyarrow.Array], ends: Sequence[int]) -> None:
    """Words in one column and numbers in the other: a table of something else, as of ages."""
    if sheet.names is not None and column_names.ends(sheet.names) is not None:
        return
    whole = [pyarrow.compute.match_substring_regex(text, r"^[-+]?\d+(\.0*)?$") for text in texts]
    numbers = [pyarrow.compute.sum(found).as_py() or 0 for found in whole]
    if 0 in numbers and len(texts[0]) in numbers:
        shown = " and ".join(column_name(sheet, number) for number in ends)
        refuse(
            sheet,
            f"the columns {shown} hold words and numbers: are they the ends of links? Say "
            "dataset.columns.source=… dataset.columns.target=…",
        )


def refuse_second_header(sheet: Sheet, texts: Sequence[pyarrow.Array], ends: Sequence[int]) -> None:
    if sheet.names is None:
        return
    same = [
        pyarrow.compute.equal(text, sheet.names[n]) for text, n in zip(texts, ends, strict=True)
    ]
    row = pyarrow.compute.index(pyarrow.compute.and_(*same), True).as_py()
    if row >= 0:
        refuse(
            sheet,
            f"{row_name(sheet, row)} repeats the names of the columns; remove it",
        )


def refuse_missing_marks(sheet: Sheet, texts: Sequence[pyarrow.Array], ends: Sequence[int]) -> None:
    """A word for no value among numbers; among names it may be one."""
    for text, number in zip(texts, ends, strict=True):
        is_whole = pyarrow.compute.match_substring_regex(text, r"^[-+]?\d+(\.0*)?$")
        if 2 * pyarrow.compute.sum(is_whole).as_py() < len(text):
            continue
        marks = pyarrow.array(_MISSING, pyarrow.string())
        is_mark = pyarrow.compute.is_in(pyarrow.compute.utf8_lower(text), marks)
        refuse_first(sheet, is_mark, text, number)


def refuse_first(sheet: Sheet, wrong: pyarrow.Array, column: pyarrow.Array, number: int) -> None:
    row = pyarrow.compute.index(wrong, True).as_py()
    if row >= 0:
        refuse(
            sheet,
            f"{row_name(sheet, row)} has {column[row].as_py()!r} in column "
            f"{column_name(sheet, number)}, an end of its link, which often means no value; "
            "remove the row, or give the node another name",
        )


def refuse_empty_ends(sheet: Sheet, table: pyarrow.Table, ends: Sequence[int]) -> None:
    for number in ends:
        column = table.column(number)
        if column.null_count:
            row = int(pyarrow.compute.index(column.is_null(), True).as_py())
            name = column_name(sheet, number)
            refuse(
                sheet,
                f"{row_name(sheet, row)} has no value in column {name}, an "
                "end of its link; fill it in, or remove the row",
            )


def refuse_overlap(sheet: Sheet, keys: TableKeys, ends: Sequence[pyarrow.Array]) -> None:
    """Two kinds of nodes whose names overlap: the same nodes, or others of the same name."""
    kinds = sheet.facts.get("kinds")
    if kinds is None or keys.bipartite is not None:
        return
    first, second = (pyarrow.compute.unique(column) for column in ends)
    common = first.filter(pyarrow.compute.is_in(first, second))
    if not len(common):
        return
    shown = pyarrow.compute.min(common)
    refuse(
        sheet,
        f"{kinds[0]} and {kinds[1]} have {len(common)} values in common, as {shown}: the "
        "same nodes, or two kinds? Say dataset.bipartite=false or dataset.bipartite=true",
    )
