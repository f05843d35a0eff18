"""Tables in columns that know their types: Parquet and Arrow (Feather), read by pyarrow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.sheet import SAMPLE, Sheet, refuse
from runner.data.reading.user_file import damaged
from runner.errors import RunnerError

_SUFFIXES = (".parquet", ".pq", ".feather", ".arrow", ".ipc")
_PARQUET, _FILE, _STREAM = "Parquet", "Arrow", "Arrow (a stream)"
_MARKS = {b"PAR1": _PARQUET, b"ARROW1": _FILE, b"\xff\xff\xff\xff": _STREAM}
_OTHERS = {b"PARE": "Parquet that is encrypted", b"FEA1": "Feather of version 1"}
INDEX = "__index_level_"  # pandas' name of an index without one
_EXACT = 2.0**53  # beyond it a float is no longer each whole number


def kind_of(file: Path, key: str = "dataset.path") -> str | None:
    """The name of the format, told by the first bytes; None for another file.

    Raises:
        RunnerError: naming the key, if it is of a kind that is not read, or its ending says so and
            its content does not.
    """
    with open(file, "rb") as stream:
        begin = stream.read(8)
    for mark, kind in _OTHERS.items():
        if begin.startswith(mark):
            raise RunnerError(f"{key}={file}: it is {kind}; save it as plain Parquet")
    found = next((kind for mark, kind in _MARKS.items() if begin.startswith(mark)), None)
    if found is None and file.suffix.lower() in _SUFFIXES:
        raise damaged(key, file, ValueError("its first bytes are those of another kind of file"))
    return found


def read_columns(file: Path, key: str) -> pyarrow.Table:
    """A table of whole numbers, floats, booleans, times and strings, null where there is no value.

    Dictionaries become their values, floats that are all whole numbers these numbers.

    Raises:
        RunnerError: naming the key, if it is damaged.
    """
    try:
        table = _read(file, kind_of(file, key))
        table.validate(full=True)
    except RunnerError:
        raise
    except Exception as error:  # damaged files fail in many types
        raise damaged(key, file, error) from None
    columns = [_plain(column.combine_chunks()) for column in table.columns]
    return pyarrow.Table.from_arrays(columns, names=table.column_names)


def _read(file: Path, kind: str | None) -> pyarrow.Table:
    if kind == _PARQUET:
        return pyarrow.parquet.ParquetFile(file).read()
    with pyarrow.OSFile(str(file)) as source:
        if kind == _STREAM:
            return pyarrow.ipc.open_stream(source).read_all()
        return pyarrow.ipc.open_file(source).read_all()


def _plain(column: pyarrow.Array) -> pyarrow.Array:
    kind = column.type
    if isinstance(kind, pyarrow.BaseExtensionType):
        return _plain(column.storage)
    if pyarrow.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if is_text(kind) or pyarrow.types.is_null(kind):
        text = pyarrow.compute.utf8_trim_whitespace(column.cast(pyarrow.string()))
        return pyarrow.compute.if_else(pyarrow.compute.equal(text, ""), None, text)
    if pyarrow.types.is_decimal(kind):
        return _whole(column, pyarrow.float64())
    if pyarrow.types.is_floating(kind):
        column = column.cast(pyarrow.float64())
        column = pyarrow.compute.if_else(pyarrow.compute.is_nan(column), None, column)
        high = pyarrow.compute.max(pyarrow.compute.abs(column)).as_py()
        return column if high is None or high > _EXACT else _whole(column, column.type)
    if pyarrow.types.is_integer(kind):  # beyond int64 a number is a name
        return _whole(column, pyarrow.string())
    return column


def is_text(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _whole(column: pyarrow.Array, otherwise: pyarrow.DataType) -> pyarrow.Array:
    try:
        return column.cast(pyarrow.int64())
    except pyarrow.ArrowInvalid:
        return column.cast(otherwise)


def edge_sheet(file: Path, keys: TableKeys) -> Sheet:
    """A table of links, as what is looked at before its links are read.

    Raises:
        RunnerError: if it is damaged, has no rows, or is a matrix, or if a key of text is given.
    """
    kind = kind_of(file)
    given: Mapping[str, object] = {
        "header": keys.header, "separator": keys.separator, "encoding": keys.encoding
    }  # fmt: skip
    for name, value in given.items():
        if value is not None:
            said = str(value).lower() if isinstance(value, bool) else value
            raise RunnerError(f"dataset.{name}={said}: {file} is {kind}, no text; leave it out")
    table = read_columns(file, "dataset.path")
    sheet = Sheet(file, b"", facts={"format": kind})
    if table.num_rows == 0:
        refuse(sheet, "the file holds no edges")
    index = [
        name for name in table.column_names
        if name.startswith(INDEX) and name not in keys.columns.values()
    ]  # fmt: skip
    if index:
        table = table.drop_columns(index)
        sheet.notes.append("left out the index that pandas wrote")
    if table.num_columns < 2:
        refuse(sheet, "a table of links has two columns of node ids, this one has fewer")
    given_ends = all(keys.columns.get(end) is not None for end in ("source", "target"))
    is_square = table.num_rows == table.num_columns > 3
    if is_square and not given_ends and not any(map(is_text, table.schema.types)):
        refuse(
            sheet,
            f"{table.num_rows} rows of as many columns are a matrix or links; save a matrix as "
            ".npz, or name the columns of links (dataset.columns.source=… "
            "dataset.columns.target=…)",
        )
    sheet.table, sheet.width, sheet.names = table, table.num_columns, table.column_names
    columns = [_shown(column) for column in table.slice(0, SAMPLE).columns]
    sheet.rows = [list(row) for row in zip(*columns, strict=True)]
    return sheet


def _shown(column: pyarrow.ChunkedArray) -> list[str]:
    if pyarrow.types.is_temporal(column.type):
        column = column.cast(pyarrow.string())
    return ["" if cell is None else str(cell) for cell in column.to_pylist()]
