"""Tables of pairs, read block by block: text as people have it, Parquet."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import logging
import lzma
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import IO, Any, cast

import pyarrow

from runner.data.reading import column_names
from runner.data.reading.separators import BLANKS, SEPARATORS, cut, split_line
from runner.errors import RunnerError
from runner.prediction.node_labels import SIDES, NodeLabels
from runner.prediction.table_writer import PARQUET

log = logging.getLogger(__name__)

BLOCK = 100_000  # rows at a time
_SAMPLE = 100  # lines
_ENCODINGS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda stream: pyarrow.CompressedInputStream(stream, "zstd"),
}


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a table, in its order.

    Attributes:
        table: (n,) rows with all columns of the file.
        reasons: why a row of the block is none, by its place.
        position: bytes of the file that are read.
    """

    table: pyarrow.Table
    reasons: dict[int, str] = field(default_factory=dict)
    position: int = 0


@dataclass(frozen=True, eq=False)
class PairTable:
    """An opened table of pairs.

    Attributes:
        names: of all columns.
        source, target: which of them are the ends.
        size: of the file in bytes.
    """

    schema: pyarrow.Schema
    source: int
    target: int
    size: int
    blocks: Iterator[Block]


@contextmanager
def opened(
    file: Path, labels: NodeLabels, *, ends: Sequence[str] | None = None
) -> Iterator[PairTable]:
    """Open a table of pairs.

    A first row is one of names where these say so, or where neither of its ends is a node.

    Args:
        labels: of the nodes.
        ends: names, or numbers from 0, of the two columns; None finds them by name, or takes the
            first two.

    Raises:
        RunnerError: if it cannot be read, or it is not clear which columns are meant.
    """
    try:
        with open(file, "rb") as stream:
            if file.suffix.lower() in PARQUET:
                yield _read_parquet(file, stream, ends)
                return
            with _as_text(stream) as lines:
                yield _read_text(file, lines, stream.tell, labels, ends)
    except (OSError, EOFError, pyarrow.ArrowException, csv.Error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RunnerError(f"{file}: it cannot be read ({reason})") from None
    except UnicodeDecodeError as error:
        raise RunnerError(
            f"{file}: no text in {error.encoding} ({error.reason}); save it as UTF-8"
        ) from None


def _read_parquet(file: Path, stream: IO[bytes], ends: Sequence[str] | None) -> PairTable:
    import pyarrow.parquet

    content = pyarrow.parquet.ParquetFile(stream)
    schema = content.schema_arrow
    source, target = _find_ends(file, schema.names, ends)
    rows, size = max(1, content.metadata.num_rows), file.stat().st_size

    def blocks() -> Iterator[Block]:
        done = 0
        for batch in content.iter_batches(BLOCK):
            done += batch.num_rows
            yield Block(pyarrow.Table.from_batches([batch]), position=size * done // rows)

    return PairTable(schema, source, target, size, blocks())


def _read_text(
    file: Path,
    lines: Iterator[str],
    position: Callable[[], int],
    labels: NodeLabels,
    ends: Sequence[str] | None,
) -> PairTable:
    sample = [line for line in islice(lines, _SAMPLE) if line.strip()]
    lines_of_comments = list(takewhile(lambda line: line.startswith(("#", "%")), sample))
    sample = sample[len(lines_of_comments) :]
    if not sample:
        raise RunnerError(f"{file}: it has no rows")
    if lines_of_comments:
        log.warning(
            "%s: left out %s lines of comments before the rows, the first is %s",
            file,
            len(lines_of_comments),
            lines_of_comments[0].rstrip(),
        )
    cuts = [cut([line.rstrip("\n") for line in sample], mark) for mark in SEPARATORS]
    several = [found for found in cuts if found.width > 1]
    if not several:
        raise RunnerError(f"{file}: which mark separates its columns? A row has two nodes at least")
    best = max(several, key=lambda found: (found.agree, found.keeps_quotes))  # rows may be damaged
    rows = _rows(chain(sample, lines), best.separator)
    first = next(rows)
    names, has_header = _names(file, first, best.width, labels, ends)
    source, target = _find_ends(file, names, ends)
    schema = pyarrow.schema([(name, pyarrow.string()) for name in names])
    if not has_header:
        rows = chain([first], rows)
    size = file.stat().st_size

    def blocks() -> Iterator[Block]:
        while chunk := list(islice(rows, BLOCK)):
            yield _as_block(chunk, schema, best.separator, position())

    return PairTable(schema, source, target, size, blocks())


def _as_text(stream: IO[bytes]) -> io.TextIOWrapper:
    begin = stream.read(8)
    stream.seek(0)
    for mark, unpack in _PACKED.items():
        if begin.startswith(mark):
            stream = io.BufferedReader(cast("io.RawIOBase", unpack(stream)))
            begin = stream.peek(8)[:8]
    encoding = next((name for mark, name in _ENCODINGS if begin.startswith(mark)), "utf-8")
    return io.TextIOWrapper(stream, encoding)


def _rows(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    if separator == BLANKS or len(separator) > 1:
        found: Iterable[list[str]] = (split_line(line, separator) for line in lines)
    else:
        found = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    return (row for row in found if row)


def _names(
    file: Path, first: list[str], width: int, labels: NodeLabels, ends: Sequence[str] | None
) -> tuple[list[str], bool]:
    """The names of the columns, and whether the first row has them."""
    numbered = [f"column {number}" for number in range(width)]
    numbered[:2] = ["source", "target"]
    given = ends is not None and not all(end.isdigit() for end in ends)
    places = column_names.ends(first) or (0, 1)
    if ends is not None and not given:
        places = int(ends[0]), int(ends[1])
    if len(first) <= max(places):
        return numbered, False
    ends_of_first = [first[place] for place in places]
    found = [
        labels.find([end], side)[0] >= 0 for end, side in zip(ends_of_first, SIDES, strict=True)
    ]
    says_so = column_names.ends(first) is not None and not all(found)
    if given or says_so:
        return first, True
    if any(found) or all(_is_number(first[place]) for place in places):
        return numbered, False
    log.warning(
        "%s: its first row, %s, is taken for the names of its columns, since neither is a node",
        *(file, " and ".join(first[place] for place in places)),
    )
    return first, True


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-").replace(".", "", 1).isdigit()


def _find_ends(file: Path, names: Sequence[str], ends: Sequence[str] | None) -> tuple[int, int]:
    if ends is not None:
        places = []
        for end in ends:
            if end not in names and not (end.isdigit() and int(end) < len(names)):
                raise RunnerError(
                    f"--columns {' '.join(ends)}: {file} has no column {end}; it has "
                    f"{', '.join(names)}"
                )
            places.append(list(names).index(end) if end in names else int(end))
        if len(set(places)) < 2:
            raise RunnerError(f"--columns {' '.join(ends)}: one column twice; a pair has two ends")
        return places[0], places[1]
    found = column_names.ends(names)
    if found is None and len(names) == 2:
        found = 0, 1
        log.warning("%s: its columns are taken as source %s, target %s", file, *names)
    if found is None:
        raise RunnerError(
            f"{file}: which of its columns {', '.join(names)} are the two ends? Say "
            "--columns NAME NAME"
        )
    return found


def _as_block(rows: list[list[str]], schema: pyarrow.Schema, separator: str, at: int) -> Block:
    width, reasons = len(schema), {}
    for place, row in enumerate(rows):
        if len(row) != width:
            reasons[place] = f"{len(row)} cells where the table has {width} columns"
            row[width - 1 :] = (
                [separator.join(row[width - 1 :])] if len(row) > width else row[width - 1 :]
            )
            row += [""] * (width - len(row))
    columns = [pyarrow.array(column, pyarrow.string()) for column in zip(*rows, strict=True)]
    return Block(pyarrow.Table.from_arrays(columns, schema=schema), reasons, at)
