"""Columns of ends that are refused: what stands in them names no nodes, or two kinds of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.csv

from runner.data.reading import column_names
from runner.data.reading.end_texts import EndTexts
from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.sheet import Sheet, column_name, refuse, row_name

_WHOLE = r"^[-+]?\d+(\.0*)?$"
_FEW_ROWS = 10
_MISSING = ("nan", "na", "n/a", "none", "null", "inf", "-inf", "-", "--", "?", "-1")
_TOTALS = re.compile(r"(?:(grand )?totals?|sum)$", re.IGNORECASE)

_STARS = {0.5 * n for n in range(1, 11)}
_MOST_RATINGS = 11  # from 0 to 10
_KONECT = re.compile(r"\s*%\s*(sym|asym|bip)\b")  # whose files say whether nodes are of two kinds

_OTHERS = {
    "JSON": r"[\[{]\s*([\"\[{\d]|$)",
    "XML or HTML": r"(?i:<(\?xml|!doctype|html|svg|graphml|gexf|\w+\s[^<>]*=))",
    "Graphviz's DOT": r"(strict\s+)?(di)?graph\b.*\{",
    "Python's tuples": r"\([^()]*,[^()]*\),?$",
}


def refuse_other_formats(sheet: Sheet, lines: Sequence[str]) -> None:
    """Texts of other kinds, by their first line."""
    for kind, pattern in _OTHERS.items():
        if re.match(rf"\s*{pattern}", lines[0]):
            refuse(sheet, f"it is {kind}, which is not read; write a table with a link in each row")


def refuse_labels(sheet: Sheet, table: pyarrow.Table, places: Mapping[str, int]) -> None:
    """A column that tells links from pairs that are none."""
    for number, name in enumerate(sheet.names or ()):
        if number in places.values() or not column_names.is_label(name):
            continue
        values = pyarrow.compute.unique(table.column(number).cast(pyarrow.string())).drop_null()
        kinds = {str(value).lower().removesuffix(".0") for value in values.to_pylist()[:3]}
        if kinds in ({"0", "1"}, {"-1", "1"}, {"true", "false"}, {"yes", "no"}):
            refuse(
                sheet,
                f"column {name} has {' and '.join(sorted(kinds))}: are some of its rows no links? "
                f"Remove these; if all are links, say dataset.columns.weight={name}",
            )


def refuse_shuffled_index(sheet: Sheet, table: pyarrow.Table) -> None:
    """Columns without names, of which the first may be pandas' index of rows that were shuffled."""
    first, second, third = (table.column(n) for n in range(3))
    whole = all(pyarrow.types.is_integer(column.type) for column in (first, second, third))
    if not whole or len(first) < _FEW_ROWS:
        return
    different = [pyarrow.compute.unique(column) for column in (first, second, third)]
    if len(different[0]) < len(first) or len(different[1]) == len(first):
        return
    known = pyarrow.compute.sum(pyarrow.compute.is_in(different[2], different[1])).as_py() or 0
    if 2 * known >= len(different[2]) > 1:
        refuse(
            sheet,
            "its first column has each value once, and may number the rows: are the ends the "
            "second and third? Say dataset.columns.source=… dataset.columns.target=…",
        )


def refuse_ratings(
    sheet: Sheet, table: pyarrow.Table, places: Mapping[str, int], keys: TableKeys
) -> None:
    """Columns without names that may be users, items and ratings: a scale, mostly with times."""
    is_said = keys.bipartite is not None or keys.name_columns or sheet.names is not None
    if is_said or "weight" not in places or any(map(_KONECT.match, sheet.comments)):
        return
    if len({row[places["weight"]] for row in sheet.rows}) > _MOST_RATINGS:
        return
    cells = pyarrow.compute.unique(table.column(places["weight"])).drop_null()
    if not 2 <= len(cells) <= _MOST_RATINGS:
        return
    values = {float(str(cell).replace(",", ".")) for cell in cells.to_pylist()}
    with_times = "time" in places and all(0 <= v <= 10 and (2 * v).is_integer() for v in values)
    if with_times or (len(values) >= 5 and values <= _STARS):
        refuse(
            sheet,
            f"column {column_name(sheet, places['weight'])} holds {len(values)} numbers from "
            f"{min(values):g} to {max(values):g}, as ratings: do users rate items, or are both "
            "ends the same nodes? Say dataset.bipartite=true or dataset.bipartite=false",
        )


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


def refuse_real_numbers(sheet: Sheet, texts: EndTexts, ends: Sequence[int]) -> None:
    is_real = texts.matches(r"^[-+]?(\d*[.,]\d*[1-9]\d*|\d\.\d+[eE][-+]\d+)$")
    is_number = texts.matches(r"^[-+]?[\d.,]+([eE][-+]\d+)?$")
    for end, number in enumerate(ends):
        places = texts.places(end)
        if is_number[places].all() and is_real[places].any():
            row = texts.first_row(end, is_real)
            refuse(
                sheet,
                f"{texts.text(end, row)!r} in column {column_name(sheet, number)} (row {row + 1}) "
                "is no node id; name the columns of the ends (dataset.columns.source=… "
                "dataset.columns.target=…)",
            )


def refuse_mixed_kinds(sheet: Sheet, texts: EndTexts, ends: Sequence[int]) -> None:
    """Words in one column and numbers in the other: a table of something else, as of ages."""
    if sheet.names is not None and column_names.ends(sheet.names) is not None:
        return
    is_whole = texts.matches(_WHOLE)
    numbers = [is_whole[texts.places(end)] for end in (0, 1)]
    if any(found.all() for found in numbers) and not all(found.any() for found in numbers):
        shown = " and ".join(column_name(sheet, number) for number in ends)
        refuse(
            sheet,
            f"the columns {shown} hold words and numbers: are they the ends of links? Say "
            "dataset.columns.source=… dataset.columns.target=…",
        )


def refuse_second_header(
    sheet: Sheet, keys: TableKeys, texts: EndTexts, ends: Sequence[int]
) -> None:
    """Names of columns that nodes have too: a header again, or a first link taken for one."""
    if sheet.names is None:
        return
    names = [sheet.names[n] for n in ends]
    places = [pyarrow.compute.index(texts.values, name).as_py() for name in names]
    again = (texts.codes == np.array(places)[:, None]).all(axis=0) if min(places) >= 0 else None
    if again is not None and again.any():
        row = int(again.argmax())
        refuse(
            sheet,
            f"{row_name(sheet, row)} repeats the names of the columns; remove it",
        )
    is_said = keys.header is not None or "names in a comment" in sheet.facts
    is_open = sheet.table is None and not is_said and max(places) >= 0
    if is_open and all(map(column_names.may_be_nodes, names)):
        refuse(
            sheet,
            f"{' and '.join(names)} may be names of columns or the first link: rows below have "
            "them too; say dataset.header=true or dataset.header=false",
        )


def refuse_missing_marks(sheet: Sheet, texts: EndTexts, ends: Sequence[int]) -> None:
    """A word for no value among numbers; among names it may be one."""
    is_whole = texts.matches(_WHOLE)
    marks = pyarrow.array(_MISSING, pyarrow.string())
    found = pyarrow.compute.is_in(pyarrow.compute.utf8_lower(texts.values), marks)
    is_mark = found.to_numpy(zero_copy_only=False)
    for end, number in enumerate(ends):
        if 2 * texts.counts(end)[is_whole].sum() < len(texts):
            continue
        row = texts.first_row(end, is_mark)
        if row >= 0:
            _refuse_mark(sheet, row, texts.text(end, row), number)


def refuse_totals(sheet: Sheet, texts: EndTexts, ends: Sequence[int]) -> None:
    """A last row of sums: its word stands in no other row, in both ends or among numbers."""
    last, above = texts.codes[:, -1], texts.codes[:, :-1]
    is_sum = [
        _TOTALS.match(texts.text(end, -1)) is not None and not (above == last[end]).any()
        for end in (0, 1)
    ]
    if not any(is_sum):
        return
    others = np.setdiff1d(np.arange(len(texts.values)), last)
    if all(is_sum) or texts.matches(_WHOLE)[others].all():
        end = is_sum.index(True)
        refuse(
            sheet,
            f"{row_name(sheet, len(texts) - 1)}, the last one, has {texts.text(end, -1)!r} in "
            f"column {column_name(sheet, ends[end])}, an end of its link: is it the sum of the "
            "rows above? Remove the row, or give the node another name",
        )


def refuse_minus_one(sheet: Sheet, column: pyarrow.ChunkedArray, number: int) -> None:
    """The number that often stands for no value, where it is the lowest."""
    if pyarrow.compute.min(column).as_py() == -1:
        _refuse_mark(sheet, pyarrow.compute.index(column, -1).as_py(), -1, number)


def _refuse_mark(sheet: Sheet, row: int, mark: str | int, number: int) -> None:
    refuse(
        sheet,
        f"{row_name(sheet, row)} has {mark!r} in column {column_name(sheet, number)}, an end of "
        "its link, which often means no value; remove the row, or give the node another name",
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
