"""Edge tables: text with a link in each row, read by conventions that say what they decided.

The keys that a user gives come first, then names of columns, then the shapes of tables without
names. What these leave open is refused, naming the key that decides.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.csv
import torch

from runner.data import column_names
from runner.data.raw_graph import RawGraph, TableKeys
from runner.data.text_file import read_text
from runner.errors import RunnerError

_BLANKS, _UNIT = " ", "\x1f"
# In the order of preference where several fit every line.
_SEPARATORS = ("\t", "::", "->", ";", "|", ",", _BLANKS)
_WORDS = {
    "\t": "tab", _BLANKS: "blanks", "\\t": "tab", "tab": "\t", "space": _BLANKS,
    "blank": _BLANKS, "blanks": _BLANKS, "comma": ",", "semicolon": ";", "pipe": "|",
}  # fmt: skip
_COMMENT = re.compile(r"\s*(#|%|//)")
_SAMPLE = 1000  # lines
_SAMPLE_BYTES = 1 << 20
_MOST_TITLES = 5
_INTEGER = re.compile(r"\s*[-+]?\d+\s*$")
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*$")
_UNIX_TIMES = (631_152_000, 2_208_988_800)  # 1990 to 2040
_DATE = re.compile(r"\s*\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?Z?\s*$")
_MISSING = ("nan", "na", "n/a", "none", "null", "inf", "-inf", "-", "--", "?", "-1")
_SMALLEST_MATRIX = 4  # rows; three columns of numbers in three rows may be weighted links


@dataclass
class _Sheet:
    """A text as lines of fields, as far as it is looked at before it is parsed."""

    file: Path
    text: bytes
    key: str = "dataset.path"
    separator: str = ","
    rows: list[list[str]] = field(default_factory=list)  # of the sample, without comments
    width: int = 0
    names: list[str] | None = None
    skipped: int = 0  # lines before the first row of the table, without comments and blank ones
    comments: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def read_edge_table(file: Path, keys: TableKeys) -> RawGraph:
    """Read a text file of links.

    Raises:
        RunnerError: if the conventions leave something open, or the file has no links.
    """
    text, encoding = read_text(file, keys.encoding)
    sheet = _Sheet(file, text)
    sheet.facts["encoding"] = encoding
    _take_comments(sheet)
    keys = _without_excels_line(sheet, keys)
    lines = _sample_lines(sheet.text)
    if not lines:
        raise RunnerError(f"dataset.path={file}: the file holds no edges")
    _find_separator(sheet, lines, keys)
    sheet.facts["separator"] = _WORDS.get(sheet.separator, sheet.separator)
    if sheet.width == 0:
        return _read_adjacency_list(sheet)
    matrix = _read_matrix(sheet, keys)
    if matrix is not None:
        return matrix
    _take_names_from_comment(sheet)
    _find_header(sheet, keys)
    sheet.facts["header"] = sheet.names is not None
    return _read_links(sheet, keys)


@dataclass(frozen=True, eq=False)
class Parsed:
    """A table of text, parsed: its cells, and the names of its columns if it has any."""

    table: pyarrow.Table
    names: list[str] | None
    separator: str

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
        return _as_text(self.table, number)

    def is_empty(self, number: int) -> bool:
        return self.table.column(number).null_count == self.rows


def parse_table(file: Path, key: str) -> Parsed:
    """Any table of text, of one column or more; a first row of names is told by its types.

    Raises:
        RunnerError: naming the key, if it cannot be read.
    """
    text, encoding = read_text(file, key=key)
    sheet = _Sheet(file, text, key)
    sheet.facts["encoding"] = encoding
    _take_comments(sheet)
    lines = _sample_lines(sheet.text)
    if not lines:
        raise RunnerError(f"{key}={file}: the file holds no rows")
    if all(len(_fields(line, separator)) < 2 for line in lines for separator in _SEPARATORS):
        sheet.width, sheet.rows = 1, [[line.strip()] for line in lines]
    else:
        _find_separator(sheet, lines, TableKeys())
    if sheet.width == 0:
        widths = sorted({len(row) for row in sheet.rows})
        _refuse(sheet, f"its rows have different numbers of fields ({widths[0]} to {widths[-1]})")
    if sheet.names is None and len(sheet.rows) > 1:
        first, body = sheet.rows[0], sheet.rows[1:]
        columns = list(zip(*body, strict=True))
        named = [
            bool(cell) and not _NUMBER.match(cell) and all(map(_NUMBER.match, filter(None, column)))
            for cell, column in zip(first, columns, strict=True)
        ]
        if any(named):
            sheet.names, sheet.skipped = first, sheet.skipped + 1
    table = _parse(sheet, skip=sheet.skipped, as_text=range(sheet.width))
    return Parsed(table, sheet.names, sheet.separator)


def _refuse(sheet: _Sheet, what: str) -> NoReturn:
    raise RunnerError(f"{sheet.key}={sheet.file}: {what}")


def _take_comments(sheet: _Sheet) -> None:
    """Remove lines of comments; a mark before a row of the table may be a name."""
    if not re.search(rb"(?m)^[ \t]*(#|%|//)", sheet.text):
        return
    kept, seen_row = [], False
    inside = 0
    for line in sheet.text.split(b"\n"):
        if re.match(rb"[ \t]*(#|%|//)", line):
            inside += seen_row
            sheet.comments.append(line.decode())
        else:
            seen_row = seen_row or bool(line.strip())
            kept.append(line)
    if not seen_row or inside > len(kept) // 10 + 3:
        _refuse(
            sheet,
            f"{len(sheet.comments)} lines begin with a mark of comments (#, % or //) among rows; "
            "if these are names, put quotes around them",
        )
    sheet.text = b"\n".join(kept)
    sheet.facts["comment lines"] = len(sheet.comments)
    if inside:
        sheet.notes.append(f"left out {inside} lines of comments among the rows")


def _without_excels_line(sheet: _Sheet, keys: TableKeys) -> TableKeys:
    """Excel says the separator in a first line of its own: `sep=;`."""
    found = re.match(rb"\s*\"?sep=(.)\"?[ \t]*\n", sheet.text, re.IGNORECASE)
    if found is None:
        return keys
    sheet.text = sheet.text[found.end() :]
    return keys if keys.separator is not None else replace(keys, separator=found[1].decode())


def _take_names_from_comment(sheet: _Sheet) -> None:
    """The last comment before the table may name its columns (SNAP's `# FromNodeId ToNodeId`)."""
    for line in reversed(sheet.comments):
        text = line.strip().lstrip("#%/").strip()
        for separator in (sheet.separator, _BLANKS):
            names = _fields(text, separator)
            if len(names) == sheet.width and column_names.ends(names) is not None:
                sheet.names = sheet.names or names
                return


def _sample_lines(text: bytes) -> list[str]:
    part = text[:_SAMPLE_BYTES]
    lines = part.split(b"\n")
    if len(part) < len(text):
        lines = lines[:-1]
    return [line.decode() for line in lines if line.strip()][:_SAMPLE]


def _fields(line: str, separator: str) -> list[str]:
    if separator == _BLANKS:
        line = re.sub(r"[ \t]+", " ", line.strip()) if '"' not in line else line.strip()
        line = line.replace("\t", " ")
    elif len(separator) > 1:
        line, separator = line.replace(separator, _UNIT), _UNIT
    found = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    return [cell.strip() for cell in found]


def _find_separator(sheet: _Sheet, lines: Sequence[str], keys: TableKeys) -> None:
    """Choose the separator that gives every line as many fields; width 0 where none does."""
    if keys.separator is not None:
        wanted = _WORDS.get(keys.separator, keys.separator)
        candidates: Sequence[str] = (_BLANKS if wanted == "blanks" else wanted,)
    else:
        candidates = _SEPARATORS
    most: tuple[int, str] = (0, ",")
    for separator in candidates:
        rows = [_fields(line, separator) for line in lines]
        widths = Counter(map(len, rows))
        most = max(most, (sum(width > 1 for width in map(len, rows)), separator))
        width, agree = max(widths.items(), key=lambda item: (item[1], item[0]))
        if width < 2:
            continue
        first = next(n for n, row in enumerate(rows) if len(row) == width)
        is_short_header = first == 1 and len(rows[0]) == width - 1 > 1
        if agree == len(rows) - first and first <= _MOST_TITLES:
            sheet.separator, sheet.width, sheet.rows = separator, width, rows[first:]
            sheet.skipped = first
            if is_short_header and not all(_NUMBER.match(cell) for cell in rows[0]):
                sheet.names = ["", *rows[0]]
                sheet.notes.append("the first column has no name: taken as names of rows")
            elif first:
                _take_titles(sheet, lines[:first])
            _drop_empty_column(sheet)
            return
    sheet.separator = most[1]
    sheet.rows = [_fields(line, sheet.separator) for line in lines]
    if keys.separator is not None and most[0] == 0:
        raise RunnerError(
            f"dataset.separator={keys.separator}: {sheet.file} has rows of one field then"
        )
    if most[0] == 0:
        _refuse(sheet, "an edge list has two columns of node ids, this file one; is its "
                "separator another (dataset.separator=…)?")  # fmt: skip


def _take_titles(sheet: _Sheet, lines: Sequence[str]) -> None:
    numbers = [re.findall(r"\d+", line) for line in lines]
    if len(lines) == 1 and all(map(_INTEGER.match, lines[0].split())) and numbers[0]:
        sheet.facts["counts"] = [int(n) for n in numbers[0]]
    said = "; ".join(line.strip() for line in lines)[:100]
    sheet.notes.append(f"left out {len(lines)} lines before the table: {said}")


def _drop_empty_column(sheet: _Sheet) -> None:
    """A separator at the end of every line makes a last column without a name and values."""
    body = sheet.rows[1:] if len(sheet.rows) > 1 else sheet.rows
    if sheet.width > 2 and all(row[-1] == "" for row in [*body, sheet.rows[0]]):
        sheet.facts["trailing separator"] = True


def _read_adjacency_list(sheet: _Sheet) -> RawGraph:
    lines = sheet.text.decode().split("\n")
    rows = [_fields(line, sheet.separator) for line in lines if line.strip()]
    lists = [(row[0], [cell for cell in row[1:] if cell]) for row in rows]
    by_writer = any(re.match(r"\s*#\s*GMT ", line) for line in sheet.comments)
    links = {(u, v) for u, others in lists for v in others}
    once = len({u for u, _ in lists}) == len(lists)
    symmetric = once and len(links) > 0 and all((v, u) in links for u, v in links)
    if not (by_writer and once) and not symmetric:
        widths = Counter(map(len, rows))
        _refuse(
            sheet,
            f"its lines have different numbers of fields ({min(widths)} to {max(widths)}): an "
            "adjacency list is taken where each node has one line and each link stands on both "
            "its nodes' lines, or networkx wrote it; a table has as many fields in each line",
        )
    order = dict.fromkeys(u for u, _ in lists) | dict.fromkeys(v for _, o in lists for v in o)
    nodes = list(dict.fromkeys([*(u for u, _ in lists), *order]))
    pairs = [(u, v) for u, others in lists for v in others]
    sheet.notes.append("read as an adjacency list: a line has a node and its neighbours")
    sheet.facts["shape"] = "adjacency list"
    return _numbered(sheet, [u for u, _ in pairs], [v for _, v in pairs], nodes)


def _numbered(
    sheet: _Sheet, sources: Sequence[str], targets: Sequence[str], nodes: Sequence[str]
) -> RawGraph:
    """Links between names; whole numbers in ascending order, text by first appearance."""
    if all(_INTEGER.match(node) for node in nodes):
        ends = np.array([[int(u) for u in sources], [int(v) for v in targets]], dtype=np.int64)
        alone = np.setdiff1d([int(node) for node in nodes], ends)
        return _with_ids(sheet, np.concatenate([ends, np.stack([alone, alone])], axis=1))
    index = {name: number for number, name in enumerate(nodes)}
    edges = torch.tensor([[index[u] for u in sources], [index[v] for v in targets]])
    return RawGraph(
        edges, len(index), names=np.array(list(index), dtype=object), notes=tuple(sheet.notes),
        facts=sheet.facts,
    )  # fmt: skip


def _with_ids(sheet: _Sheet, ends: np.ndarray) -> RawGraph:
    return RawGraph(
        torch.from_numpy(ends), ids=np.unique(ends), notes=tuple(sheet.notes), facts=sheet.facts
    )


def _read_matrix(sheet: _Sheet, keys: TableKeys) -> RawGraph | None:
    """An adjacency matrix: as many columns as rows, numbers all, with or without names."""
    if keys.columns and any(value is not None for value in keys.columns.values()):
        return None
    rows = sheet.rows
    labelled = len(rows) == sheet.width and rows[0][0] == "" and len(rows) > 1 and (
        [row[0] for row in rows[1:]] == rows[0][1:]
    )  # fmt: skip
    if not labelled and len(rows) != sheet.width:
        return None
    if len(sheet.text) > _SAMPLE_BYTES or len(rows) >= _SAMPLE:
        lines = [line for line in sheet.text.decode().split("\n") if line.strip()]
        rows = [_fields(line, sheet.separator) for line in lines]
        if len(rows) != sheet.width or any(len(row) != sheet.width for row in rows):
            return None
    names = rows[0][1:] if labelled else None
    cells = [row[1:] for row in rows[1:]] if labelled else rows
    if not all(_NUMBER.match(cell) for row in cells for cell in row):
        return None
    values = np.array([[float(cell.replace(",", ".")) for cell in row] for row in cells])
    if not labelled and len(rows) < _SMALLEST_MATRIX:
        if len(rows) < 3:
            return None
        _refuse(
            sheet,
            f"{len(rows)} rows of {len(rows)} numbers are a matrix or links with a weight; name "
            "the columns of links (dataset.columns.source=0 dataset.columns.target=1)",
        )
    sheet.notes.append(f"read as an adjacency matrix of {len(values)} rows")
    sheet.facts["shape"] = "matrix"
    edges = torch.from_numpy(np.stack(np.nonzero(values)))
    found = None if names is None else np.array(names, dtype=object)
    return RawGraph(edges, len(values), names=found, notes=tuple(sheet.notes), facts=sheet.facts)


def _find_header(sheet: _Sheet, keys: TableKeys) -> None:
    """Whether the first row has names, which then leave the rows."""
    if sheet.names is not None:
        return
    first, body = sheet.rows[0], sheet.rows[1:]
    if keys.header is not None:
        is_header = keys.header
    elif column_names.ends(first) is not None:
        is_header = True
    elif not body:
        is_header = not any(map(_NUMBER.match, first))
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


def _is_default_header(sheet: _Sheet, first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether 0, 1, … are pandas' names of columns: numbers that no node below has.

    A list of links may begin with 0, 1 too, and have no other link of node 0.
    """
    if list(first) != [str(n) for n in range(len(first))]:
        return False
    if any(row[n] == first[n] for row in body for n in (0, 1)):
        return False
    table = _parse(sheet, skip=sheet.skipped + 1)
    columns = [_as_text(table, n) for n in (0, 1)]
    has = [[_contains(column, name) for name in first[:2]] for column in columns]
    if has[0][0] or has[1][1]:
        return False
    if has[0][1] or has[1][0]:
        _refuse(
            sheet,
            f"its first row ({','.join(first)}) may be pandas' names of columns, or the only link "
            "between nodes 0 and 1; say dataset.header=true or dataset.header=false",
        )
    return True


def _contains(column: pyarrow.Array, text: str) -> bool:
    return pyarrow.compute.index(column, text).as_py() >= 0


def _counts_first(sheet: _Sheet, first: Sequence[str]) -> bool:
    """A first line of two numbers: as many nodes and links as follow, in either order."""
    if len(first) != 2 or not all(map(_INTEGER.match, first)):
        return False
    a, b = map(int, first)
    lines = sum(1 for line in sheet.text.split(b"\n") if line.strip()) - sheet.skipped - 1
    if lines not in (a, b):
        return False
    rest = _parse(sheet, skip=sheet.skipped + 1)
    nodes = len(
        pyarrow.compute.unique(pyarrow.concat_arrays([_as_text(rest, 0), _as_text(rest, 1)]))
    )
    if {a, b} != {nodes, lines} and (a, b) not in ((nodes, lines), (lines, nodes)):
        return False
    sheet.rows = sheet.rows[1:]
    sheet.skipped += 1
    sheet.notes.append(f"took the first line as counts: {nodes} nodes, {lines} rows")
    sheet.facts["counts"] = [a, b]
    return True


def _differs_from_body(sheet: _Sheet, first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    columns = list(zip(*body, strict=True))
    numeric = [any(column) and all(not c or _NUMBER.match(c) for c in column) for column in columns]
    words = [bool(cell) and not _NUMBER.match(cell) for cell in first]
    if any(is_number and word for is_number, word in zip(numeric, words, strict=True)):
        return True
    if any(numeric[:2]):
        return False
    table = _parse(sheet, skip=sheet.skipped + 1)
    texts = [_as_text(table, n) for n in range(min(2, sheet.width))]
    if any(_contains(text, cell) for text in texts for cell in first if cell):
        return False
    _refuse(
        sheet,
        f"its first row ({', '.join(first)}) may be names of columns or a link; say "
        "dataset.header=true or dataset.header=false",
    )


def _parse(sheet: _Sheet, *, skip: int, as_text: Sequence[int] = ()) -> pyarrow.Table:
    text, separator = sheet.text, sheet.separator
    if separator == _BLANKS:
        if b'"' in text:
            text = re.sub(rb'("[^"\n]*")|[ \t]+', lambda m: m.group(1) or b" ", text)
        else:
            text = re.sub(rb"[ \t]+", b" ", text) if re.search(rb"\t|  ", text) else text
        text = re.sub(rb"(?m)^ | $", b"", text)
    elif len(separator) > 1:
        text = text.replace(separator.encode(), _UNIT.encode())
        separator = _UNIT
    if skip:
        text = text.lstrip(b"\n")
        for _ in range(skip):
            text = text[text.index(b"\n") + 1 :].lstrip(b"\n") if b"\n" in text else b""
    if not text.strip():
        _refuse(sheet, "the file holds a header and no edges")
    names = [str(n) for n in range(sheet.width)]
    lost: list[Any] = []

    def keep(row: Any) -> str:
        lost.append(row)
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(text),
            read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=True),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=separator, newlines_in_values=False,
                invalid_row_handler=keep,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={str(n): pyarrow.string() for n in as_text},
                null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True,
                true_values=[], false_values=[], auto_dict_encode=False,
            ),
        )  # fmt: skip
    except pyarrow.ArrowInvalid as error:
        _refuse(sheet, f"it cannot be read as a table ({str(error).splitlines()[0]})")
    if lost:
        row = lost[0]
        at = f"line {row.number + sheet.skipped}: " if row.number else ""
        _refuse(
            sheet,
            f"{at}{row.text!r} has {row.actual_columns} fields, the first rows have "
            f"{row.expected_columns}; mend the row, or put quotes around a name with a separator",
        )
    return table


def _as_text(table: pyarrow.Table, number: int) -> pyarrow.Array:
    column = table.column(number).combine_chunks()
    column = column.cast(pyarrow.string())
    return pyarrow.compute.utf8_trim_whitespace(column)


def _read_links(sheet: _Sheet, keys: TableKeys) -> RawGraph:
    skip = sheet.skipped
    table = _parse(sheet, skip=skip)
    places = _places(sheet, table, keys)
    ends = places["source"], places["target"]
    # Numbers with zeros in front, dates and the like are names, kept as they are written.
    written = [n for n in ends if not _is_whole(table, n) or _has_leading_zeros(sheet)]
    if written:
        table = _parse(sheet, skip=skip, as_text=written)
    _refuse_empty_ends(sheet, table, ends)
    sheet.facts["columns"] = {
        what: sheet.names[n] if sheet.names else n for what, n in places.items()
    }
    _note_columns(sheet, places)
    columns = [table.column(n).combine_chunks() for n in ends]
    if not written:
        for column, number in zip(columns, ends, strict=True):
            if pyarrow.compute.min(column).as_py() == -1:
                _refuse_first(sheet, pyarrow.compute.equal(column, -1), column, number)
        both = np.stack([column.to_numpy(zero_copy_only=False) for column in columns])
        both = both.astype(np.int64)
        _refuse_overlap(sheet, keys, set(np.intersect1d(*both).tolist()))
        return _with_ids(sheet, both)
    texts = [_as_text(table, n) for n in ends]
    _refuse_real_numbers(sheet, texts, ends)
    if not {"source", "target"} <= {k for k, v in keys.columns.items() if v is not None}:
        _refuse_mixed_kinds(sheet, texts, ends)
    _refuse_second_header(sheet, texts, ends)
    _refuse_missing_marks(sheet, texts, ends)
    whole = _as_whole(texts)
    if whole is not None:
        _refuse_overlap(sheet, keys, set(np.intersect1d(*whole).tolist()))
        return _with_ids(sheet, whole)
    _refuse_overlap(sheet, keys, set(texts[0].to_pylist()) & set(texts[1].to_pylist()))
    rows = len(texts[0])
    # By first appearance, row by row: source before target.
    mixed = np.empty(2 * rows, dtype=object)
    mixed[0::2], mixed[1::2] = (
        texts[0].to_numpy(zero_copy_only=False),
        texts[1].to_numpy(zero_copy_only=False),
    )
    encoded = pyarrow.array(mixed, pyarrow.string()).dictionary_encode()
    numbers = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    sheet.notes.append(f"numbered {len(names)} names in the order of their first appearance")
    edges = torch.from_numpy(np.stack([numbers[0::2], numbers[1::2]]))
    return RawGraph(edges, len(names), names=names, notes=tuple(sheet.notes), facts=sheet.facts)


def _is_whole(table: pyarrow.Table, number: int) -> bool:
    return pyarrow.types.is_integer(table.column(number).type)


def _has_leading_zeros(sheet: _Sheet) -> bool:
    return re.search(rb"(?m)(?:^|[^\d.:\-+/TeE])0\d", sheet.text) is not None


def _as_whole(texts: Sequence[pyarrow.Array]) -> np.ndarray | None:
    """Both columns as int64, where each is a whole number in its one way of writing it."""
    found = []
    for text in texts:
        plain = pyarrow.compute.replace_substring_regex(text, r"^([-+]?\d+)\.0*$", r"\1")
        if not pyarrow.compute.all(
            pyarrow.compute.match_substring_regex(plain, r"^(0|-?[1-9]\d{0,17})$")
        ).as_py():
            return None
        found.append(plain.cast(pyarrow.int64()).to_numpy(zero_copy_only=False))
    return np.stack(found)


def _refuse_real_numbers(
    sheet: _Sheet, texts: Sequence[pyarrow.Array], ends: Sequence[int]
) -> None:
    for text, number in zip(texts, ends, strict=True):
        is_real = pyarrow.compute.match_substring_regex(text, r"^[-+]?\d*[.,]\d*[1-9]\d*$")
        is_number = pyarrow.compute.match_substring_regex(text, r"^[-+]?[\d.,]+$")
        if pyarrow.compute.all(is_number).as_py() and pyarrow.compute.any(is_real).as_py():
            row = int(pyarrow.compute.index(is_real, True).as_py())
            _refuse(
                sheet,
                f"{text[row].as_py()!r} in column {_column(sheet, number)} (row {row + 1}) is no "
                "node id; name the columns of the ends (dataset.columns.source=… "
                "dataset.columns.target=…)",
            )


def _refuse_mixed_kinds(sheet: _Sheet, texts: Sequence[pyarrow.Array], ends: Sequence[int]) -> None:
    """Words in one column and numbers in the other: a table of something else, as of ages."""
    if sheet.names is not None and column_names.ends(sheet.names) is not None:
        return
    whole = [pyarrow.compute.match_substring_regex(text, r"^[-+]?\d+(\.0*)?$") for text in texts]
    numbers = [pyarrow.compute.sum(found).as_py() or 0 for found in whole]
    if 0 in numbers and len(texts[0]) in numbers:
        shown = " and ".join(_column(sheet, number) for number in ends)
        _refuse(
            sheet,
            f"the columns {shown} hold words and numbers: are they the ends of links? Say "
            "dataset.columns.source=… dataset.columns.target=…",
        )


def _refuse_second_header(
    sheet: _Sheet, texts: Sequence[pyarrow.Array], ends: Sequence[int]
) -> None:
    if sheet.names is None:
        return
    same = [
        pyarrow.compute.equal(text, sheet.names[n]) for text, n in zip(texts, ends, strict=True)
    ]
    row = pyarrow.compute.index(pyarrow.compute.and_(*same), True).as_py()
    if row >= 0:
        _refuse(
            sheet,
            f"row {row + 1} (line {_line_of(sheet, row)}) repeats the names of the columns; "
            "remove it",
        )


def _refuse_missing_marks(
    sheet: _Sheet, texts: Sequence[pyarrow.Array], ends: Sequence[int]
) -> None:
    """A word for no value among numbers; among names it may be one."""
    for text, number in zip(texts, ends, strict=True):
        is_whole = pyarrow.compute.match_substring_regex(text, r"^[-+]?\d+(\.0*)?$")
        if 2 * pyarrow.compute.sum(is_whole).as_py() < len(text):
            continue
        marks = pyarrow.array(_MISSING, pyarrow.string())
        is_mark = pyarrow.compute.is_in(pyarrow.compute.utf8_lower(text), marks)
        _refuse_first(sheet, is_mark, text, number)


def _refuse_first(sheet: _Sheet, wrong: pyarrow.Array, column: pyarrow.Array, number: int) -> None:
    row = pyarrow.compute.index(wrong, True).as_py()
    if row >= 0:
        _refuse(
            sheet,
            f"row {row + 1} (line {_line_of(sheet, row)}) has {column[row].as_py()!r} in column "
            f"{_column(sheet, number)}, an end of its link, which often means no value; remove the "
            "row, or give the node another name",
        )


def _column(sheet: _Sheet, number: int) -> str:
    return (sheet.names[number] if sheet.names else "") or f"number {number}"


def _refuse_empty_ends(sheet: _Sheet, table: pyarrow.Table, ends: Sequence[int]) -> None:
    for number in ends:
        column = table.column(number)
        if column.null_count:
            row = int(pyarrow.compute.index(column.is_null(), True).as_py())
            name = _column(sheet, number)
            _refuse(
                sheet,
                f"row {row + 1} (line {_line_of(sheet, row)}) has no value in column {name}, an "
                "end of its link; fill it in, or remove the row",
            )


def _line_of(sheet: _Sheet, row: int) -> int:
    """Number from 1 of the line of a row, comments and blank lines counted."""
    text, _ = read_text(sheet.file, sheet.facts["encoding"])
    seen = -sheet.skipped - 1
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.strip() and not re.match(rb"[ \t]*(#|%|//)", line):
            seen += 1
            if seen == row:
                return number
    return row + 1


def _places(sheet: _Sheet, table: pyarrow.Table, keys: TableKeys) -> dict[str, int]:
    """The numbers of the columns: source, target, and weight and time where there are any."""
    given = {what: _place_of(sheet, what, value) for what, value in keys.columns.items()
             if value is not None}  # fmt: skip
    if {"source", "target"} <= set(given):
        return given
    if given.keys() & {"source", "target"}:
        missing = "target" if "source" in given else "source"
        raise RunnerError(f"dataset.columns.{missing}: a column is needed; give both ends")
    named = sheet.names is not None
    found = _places_by_name(sheet, table) if named else _places_by_shape(sheet, table)
    return {**found, **given}


def _place_of(sheet: _Sheet, what: str, value: str | int) -> int:
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


def _places_by_name(sheet: _Sheet, table: pyarrow.Table) -> dict[str, int]:
    assert sheet.names is not None
    names = sheet.names
    found = {
        what: number for what, number in column_names.others(names).items() if number is not None
    }
    ends = column_names.ends(names)
    if ends is None:
        rest = [n for n, name in enumerate(names) if n not in found.values() and name]
        if _all_default(names):
            return _places_by_shape(sheet, table)
        if len(rest) != 2 or any(column_names.is_row_number(names[n]) for n in rest):
            _refuse(
                sheet,
                f"which of its columns are the ends of links? It has {', '.join(names)}; say "
                "dataset.columns.source=… dataset.columns.target=…",
            )
        ends = rest[0], rest[1]
        if not column_names.are_alike(names[ends[0]], names[ends[1]]):
            sheet.facts["kinds"] = [names[ends[0]], names[ends[1]]]
    return {"source": ends[0], "target": ends[1], **found}


def _all_default(names: Sequence[str]) -> bool:
    return list(names) == [str(n) for n in range(len(names))]


def _places_by_shape(sheet: _Sheet, table: pyarrow.Table) -> dict[str, int]:
    first = 0
    columns = list(zip(*sheet.rows, strict=True))
    if sheet.width >= 3 and _are_row_numbers(table.column(0)) and _can_be_ends(columns[1:3]):
        if len(set(columns[1])) == len(columns[1]):
            _refuse(
                sheet,
                "its first column may count the rows, or hold the sources of links: each value of "
                "the second stands there once too; say dataset.columns.source=… "
                "dataset.columns.target=…",
            )
        first = 1
        sheet.notes.append("took the first column as row numbers: it counts the rows")
    found = {"source": first, "target": first + 1}
    times = [number for number in found.values() if _are_times(list(filter(None, columns[number])))]
    if sheet.width > first + 2 and len(times) == 1:
        _refuse(
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
        elif number == first + 2 and all(map(_NUMBER.match, cells)):
            found["weight"] = number
        elif number == first + 2 and "" not in columns[number]:
            _refuse(
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
        if any(_NUMBER.match(c) and not _INTEGER.match(c) for c in column) or _are_times(column):
            return False
    if len(columns) == 2 and len(set(columns[1])) == 1:
        return False
    return all(cell for column in columns for cell in column)


def _are_times(cells: Sequence[str]) -> bool:
    if all(map(_DATE.match, cells)):
        return True
    if not all(map(_INTEGER.match, cells)):
        return False
    low, high = _UNIX_TIMES
    return all(low <= int(cell) <= high for cell in cells)


def _refuse_overlap(sheet: _Sheet, keys: TableKeys, common: set[Any]) -> None:
    """Two kinds of nodes whose names overlap: the same nodes, or others of the same name."""
    kinds = sheet.facts.get("kinds")
    if kinds is None or not common or keys.bipartite is False:
        return
    _refuse(
        sheet,
        f"{kinds[0]} and {kinds[1]} have {len(common)} values in common, as {min(common)}: the "
        "same nodes, or two kinds? Say dataset.bipartite=false if they are the same; else give "
        "the kinds names that differ",
    )


def _note_columns(sheet: _Sheet, places: dict[str, int]) -> None:
    def name(number: int) -> str:
        return _column(sheet, number)

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
