"""A thousand files of graphs, sound and damaged, and whether they are read as what they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from tests.own_formats import BINARY, FORMATS
from tests.own_graphs import OwnFile, Truth
from tests.own_tables import PACKERS, TABLES, Table, named_columns, two_columns, weighted, write

from runner.data.edges import edge_file
from runner.data.link_data import LinkData
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

_SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)
OUTCOMES = ("right", "refused", "wrong", "traceback")
_MISSING = ("NA", "nan", "NULL", "None", "-1", "?", "-", "n/a")


def own_file(number: int, seed: int) -> OwnFile:
    """One of the files: every kind in turn, the rest by chance."""
    rng = Random(f"{seed} {number}")
    return KINDS[number % len(KINDS)](rng)


def outcome(file: OwnFile, folder: Path) -> tuple[str, str]:
    """One of `OUTCOMES`, and what was said or differs."""
    path = folder / file.name
    path.write_bytes(file.content)
    try:
        data = edge_file(path=str(path), features=None, split=_SPLIT, **file.keys)
    except RunnerError as error:
        said = str(error)
        is_fit = "\n" not in said and ("dataset." in said or path.name in said)
        return ("refused" if is_fit else "wrong"), said
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"
    finally:
        path.unlink()
    found = _found(data)
    if found == file.truth:
        return "right", ""
    return "wrong", _difference(file.truth, found)


def is_fault(file: OwnFile, found: str) -> bool:
    """Whether this outcome is a fault of the reader."""
    return found != "right" and (found != "refused" or file.is_decided)


def _found(data: LinkData) -> Truth:
    names = data.names if data.names is not None else [str(n) for n in range(data.num_nodes)]
    pairs = [
        pair for part in (data.train, data.valid.positive, data.test.positive)
        for pair in part.T.tolist()
    ]  # fmt: skip
    return Truth(frozenset(names), frozenset(frozenset((names[u], names[v])) for u, v in pairs))


def _difference(truth: Truth | None, found: Truth) -> str:
    if truth is None:
        return f"read as {len(found.nodes)} nodes, {len(found.links)} links; it is damaged"
    return (
        f"{len(found.nodes)} nodes, {len(found.links)} links; it has {len(truth.nodes)}, "
        f"{len(truth.links)}: {len(found.links ^ truth.links)} links differ, and nodes "
        f"{sorted(found.nodes ^ truth.nodes)[:4]}"
    )


def _sound_table(rng: Random) -> Table:
    """One that every reader takes, to be damaged."""
    while True:
        table = rng.choice((two_columns, named_columns, weighted))(rng)
        if table.certain:
            return table


def _place(table: Table, rng: Random) -> int:
    return rng.randrange(1, len(table.rows))


def _empty_end(table: Table, rng: Random) -> Table:
    table.rows[_place(table, rng)][rng.choice(table.ends)] = ""
    return replace(table, truth=None)


def _empty_cell(table: Table, rng: Random) -> Table:
    width = len(table.rows[0])
    other = [n for n in range(width) if n not in table.ends]
    if not other:
        return _empty_end(table, rng)
    for _ in range(3):
        table.rows[_place(table, rng)][rng.choice(other)] = ""
    return table


def _short_row(table: Table, rng: Random) -> Table:
    place = _place(table, rng)
    table.rows[place] = table.rows[place][:-1]
    return replace(table, truth=None)


def _long_row(table: Table, rng: Random) -> Table:
    place = _place(table, rng)
    table.rows[place] = [*table.rows[place], "7"]
    return replace(table, truth=None)


def _short_header(table: Table, rng: Random) -> Table:
    """Names for all columns but the last, as R has them for all but the first."""
    header = [*(table.header or ("source", "target", "weight"))[: len(table.rows[0])]][:-1]
    if len(header) < 2 or max(table.ends) >= len(header):
        return _short_row(table, rng)
    return replace(table, header=header, certain=False)


def _second_header(table: Table, rng: Random) -> Table:
    header = table.header or ["source", "target", "weight", "time"][: len(table.rows[0])]
    table.rows.insert(_place(table, rng), header)
    return replace(table, header=header, certain=False)


def _missing_mark(table: Table, rng: Random) -> Table:
    if not all(cell.isdecimal() for row in table.rows for cell in (row[n] for n in table.ends)):
        return _empty_end(table, rng)
    table.rows[_place(table, rng)][rng.choice(table.ends)] = rng.choice(_MISSING)
    return replace(table, truth=None)


def _fraction(table: Table, rng: Random) -> Table:
    if not all(cell.isdecimal() for row in table.rows for cell in (row[n] for n in table.ends)):
        return _empty_end(table, rng)
    table.rows[_place(table, rng)][rng.choice(table.ends)] = "3.5"
    return replace(table, truth=None)


def _open_quote(table: Table, rng: Random) -> Table:
    row = table.rows[_place(table, rng)]
    end = rng.choice(table.ends)
    row[end] = '"' + row[end]
    return replace(table, truth=None, keys={**table.keys, "raw": True})


_DAMAGES: dict[str, Callable[[Table, Random], Table]] = {
    "an end is empty": _empty_end,
    "another cell is empty": _empty_cell,
    "a row is short": _short_row,
    "a row is long": _long_row,
    "the header is short": _short_header,
    "the header comes again": _second_header,
    "a mark of no value": _missing_mark,
    "a fraction": _fraction,
    "a quote stays open": _open_quote,
}


def _damaged(what: str) -> Callable[[Random], OwnFile]:
    def make(rng: Random) -> OwnFile:
        table = _sound_table(rng)
        table = replace(table, rows=[list(row) for row in table.rows], kind=f"damaged: {what}")
        return write(_DAMAGES[what](table, rng), rng)

    return make


def _cut(rng: Random) -> OwnFile:
    """A packed or binary file, of which the end is missing."""
    if rng.random() < 0.4:
        suffix = rng.choice(list(PACKERS))
        file = write(_sound_table(rng), rng)
        if Path(file.name).suffix not in PACKERS:
            file = replace(file, name=file.name + suffix, content=PACKERS[suffix](file.content))
    else:
        file = rng.choice([form for form in FORMATS if form is not None])(rng)
        while Path(file.name).suffix not in BINARY:
            file = rng.choice(FORMATS)(rng)
    end = rng.randint(len(file.content) // 10, len(file.content) * 95 // 100)
    return replace(file, kind=f"cut: {Path(file.name).suffix}", content=file.content[:end],
                   certain=False)  # fmt: skip


def _written(shape: Callable[[Random], Table]) -> Callable[[Random], OwnFile]:
    return lambda rng: write(shape(rng), rng)


KINDS: list[Callable[[Random], OwnFile]] = [
    *map(_written, TABLES), *FORMATS, *map(_damaged, _DAMAGES), _cut, _cut,
]  # fmt: skip
