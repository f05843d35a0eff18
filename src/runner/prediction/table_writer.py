"""Tables written block by block, by the suffix of the file: whole, or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow

from runner.errors import RunnerError
from runner.storage.files import atomic

PARQUET = (".parquet", ".pq")
_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
SUFFIXES = (*_SEPARATORS, *PARQUET)


@contextmanager
def written(file: Path, schema: pyarrow.Schema) -> Iterator[Callable[[pyarrow.Table], None]]:
    """A function that appends rows to a table, which appears at the end, if nothing fails.

    Raises:
        RunnerError: if the suffix is unknown or the file cannot be written.
    """
    check(file, schema.names)
    try:
        with atomic(file) as temporary:
            if file.suffix.lower() in PARQUET:
                import pyarrow.parquet

                with pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
                    yield writer.write_table
            else:
                with open(temporary, "w", newline="", encoding="utf-8") as stream:
                    separator = _SEPARATORS[file.suffix.lower()]
                    lines = csv.writer(stream, delimiter=separator, lineterminator="\n")
                    lines.writerow(schema.names)
                    yield lambda table: lines.writerows(
                        zip(*map(_cells, table.columns), strict=True)
                    )
    except OSError as error:
        raise RunnerError(f"--output {file}: it cannot be written ({error.strerror})") from None


def check(file: Path, names: Sequence[str]) -> None:
    """Refuse a place or a kind of file before anything is computed for it."""
    if file.suffix.lower() not in SUFFIXES:
        raise RunnerError(f"--output {file}: which kind of table? Known are {', '.join(SUFFIXES)}")
    if not file.absolute().parent.is_dir():
        raise RunnerError(f"--output {file}: there is no folder {file.absolute().parent}")
    if file.is_dir():
        raise RunnerError(f"--output {file}: it is a folder; name a file")
    twice = [name for name in names if list(names).count(name) > 1]
    if twice:
        raise RunnerError(
            f"{twice[0]}: the table has this column already; rename it, and give it again"
        )


def _cells(column: pyarrow.ChunkedArray) -> Sequence[object]:
    if pyarrow.types.is_boolean(column.type):
        return ["" if x is None else str(x).lower() for x in column.to_pylist()]
    if pyarrow.types.is_floating(column.type):
        return ["" if x is None else repr(x) for x in column.to_pylist()]
    return column.to_pylist()
