"""Tables of links as people have them: columns, names of columns, lines before, separators."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pyarrow
from tests.own_graphs import (
    DOUBTFUL,
    IDS,
    NEVER_CERTAIN,
    WHOLE,
    OwnFile,
    OwnGraph,
    Truth,
    own_graph,
)

SEPARATORS = (",", ";", "\t", "|", " ", "   ", "::", "->")
HEADERS = (
    ("source", "target"), ("Source", "Target"), ("SRC", "DST"), ("from", "to"), ("u", "v"),
    ("from node", "to node"), ("FromNodeId", "ToNodeId"), ("head", "tail"), ("node1", "node2"),
    ("node_a", "node_b"), ("Person 1", "Person 2"), ("source_id", "target_id"), ("i", "j"),
    ("citing", "cited"), ("follower_id", "followee_id"), ("geneA", "geneB"), ("start", "end"),
)  # fmt: skip
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress,
    ".zst": lambda raw: pyarrow.compress(raw, codec="zstd", asbytes=True),
}  # fmt: skip
_ENDINGS = (".csv", ".tsv", ".txt", ".edges", ".edgelist", ".cites", "")


@dataclass(frozen=True)
class Table:
    """A table before it is written.

    Attributes:
        header: names of the columns; shorter by one for R.
        ends: the places of source and target in each row.
        before: lines before the table, as they are.
    """

    kind: str
    rows: list[list[str]]
    truth: Truth | None
    header: list[str] | None = None
    ends: tuple[int, int] = (0, 1)
    separator: str = ","
    before: tuple[str, ...] = ()
    certain: bool = True
    quoted: bool = False
    name: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)


def _plain(kind: str, rng: Random, ids: str | None = None) -> tuple[Table, OwnGraph]:
    """Two columns, certain where numbers or a name that comes again tell the first row."""
    ids = ids or rng.choice(list(IDS))
    graph = own_graph(rng, ids)
    rows = [list(row) for row in graph.rows(rng)]
    known = {cell for row in rows[1:] for cell in row}
    certain = ids in WHOLE or (ids not in (*DOUBTFUL, *NEVER_CERTAIN) and rows[0][0] in known)
    certain = certain and sorted(rows[0]) != ["n1", "n2"]  # nodes, or names of columns
    table = Table(kind, rows, graph.truth, certain=certain, separator=rng.choice(SEPARATORS))
    return table, graph


def _known_header(table: Table, graph: OwnGraph, header: Sequence[str]) -> Table:
    doubtful = any(cell[0].isdigit() and "." in cell for cell in graph.names)
    return replace(table, header=list(header), certain=not doubtful)


def two_columns(rng: Random) -> Table:
    return _plain("two columns", rng)[0]


def named_columns(rng: Random) -> Table:
    """Ends with known names, beside weights, times and others, in any order."""
    table, graph = _plain("names of columns", rng)
    source, target = rng.choice(HEADERS)
    others = {"weight": _weight, "timestamp": _unix_time, "date": _date, "label": _label,
              "type": _label, "comment": _text}  # fmt: skip
    names = rng.sample(list(others), rng.randint(0, 3))
    if {"timestamp", "date"} <= set(names):
        names.remove("date")
    header = rng.sample([source, target, *names], 2 + len(names))
    places = header.index(source), header.index(target)
    rows = []
    for u, v in table.rows:
        cells = {source: u, target: v, **{n: others[n](rng, table.separator) for n in names}}
        rows.append([cells[column] for column in header])
    return replace(_known_header(table, graph, header), rows=rows, ends=places)


def weighted(rng: Random) -> Table:
    """Without names: ends, and then weights or times."""
    table, _ = _plain("weights and times, no names", rng)
    fill = rng.choice([[_weight], [_unix_time], [_date], [_weight, _unix_time], [_weight, _label]])
    if table.separator.strip() == "":
        fill = [_weight if one is _date else one for one in fill]
    rows = [[*row, *(one(rng, table.separator) for one in fill)] for row in table.rows]
    return replace(table, rows=rows)


def counts_first(rng: Random) -> Table:
    table, _ = _plain("counts first", rng, rng.choice(WHOLE))
    assert table.truth is not None
    counts = [str(len(table.truth.nodes)), str(len(table.rows))]
    separator, rows = rng.choice((" ", "\t", ",")), table.rows
    if rng.random() < 0.3:
        rows = [[*row, str(rng.randint(1, 9))] for row in rows]
    line = separator.join(counts if rng.random() < 0.5 else counts[::-1])
    return replace(table, before=(line,), rows=rows, separator=separator)


def row_numbers(rng: Random) -> Table:
    table, _ = _plain("row numbers, no names", rng, rng.choice([*WHOLE, "letters"]))
    first = rng.randint(0, 1)
    rows = [[str(n), *row] for n, row in enumerate(table.rows, first)]
    return replace(table, rows=rows, ends=(1, 2))


def index_column(rng: Random) -> Table:
    """pandas' index without a name, and columns of ids before the ends."""
    table, graph = _plain("an index before the ends", rng)
    separator = table.separator if table.separator.strip() else ","
    header = [rng.choice(("", "", "id", "index", "edge_id")), *rng.choice(HEADERS)]
    rows = [[str(n), *row] for n, row in enumerate(table.rows)]
    table = replace(table, rows=rows, ends=(1, 2), separator=separator)
    return _known_header(table, graph, header)


def default_names(rng: Random) -> Table:
    table, _ = _plain("pandas' default names", rng, rng.choice(("from 10", "big", "letters")))
    rows, width = table.rows, rng.choice((2, 3))
    if width == 3:
        rows = [[*row, _weight(rng, table.separator)] for row in rows]
    return replace(table, rows=rows, header=[str(n) for n in range(width)])


def gephi(rng: Random) -> Table:
    table, graph = _plain("Gephi's table", rng)
    header = ["Source", "Target", "Type", "Id", "Label", "timeset", "Weight"]
    rows = [[u, v, "Undirected", str(n), "", "", "1.0"] for n, (u, v) in enumerate(table.rows)]
    separator = rng.choice((",", ";", "\t"))
    return _known_header(replace(table, rows=rows, separator=separator), graph, header)


def from_r(rng: Random) -> Table:
    """write.table: quoted names, of rows too, whose column has none."""
    table, graph = _plain("R's write.table", rng)
    header = list(rng.choice(HEADERS))
    rows = [[str(n), *row] for n, row in enumerate(table.rows, 1)]
    if rng.random() < 0.4:
        header, rows = [*header, "weight"], [[*row, str(rng.randint(1, 9))] for row in rows]
    quoted, separator = rng.random() < 0.8, rng.choice((" ", ",", "\t"))
    table = replace(table, rows=rows, ends=(1, 2), separator=separator, quoted=quoted)
    return _known_header(table, graph, header)


def konect(rng: Random) -> Table:
    table, _ = _plain("KONECT's out.*", rng, "from 1")
    fill = rng.choice([[], [_weight], [lambda r, s: "1", _unix_time]])
    separator = rng.choice((" ", "\t"))
    rows = [[*row, *(one(rng, separator) for one in fill)] for row in table.rows]
    before = ("% asym unweighted", f"% {len(rows)} 30 30")[: rng.randint(1, 2)]
    return replace(table, rows=rows, before=before, separator=separator, name="out.own-graph")


def snap(rng: Random) -> Table:
    table, _ = _plain("SNAP's comments", rng, rng.choice(WHOLE))
    before = ("# Undirected graph: ../../data/output/own.txt", "# Own graph, its links",
              f"# Nodes: 30 Edges: {len(table.rows)}", "# FromNodeId\tToNodeId")  # fmt: skip
    rows = [["9", *row] for row in table.rows] if rng.random() < 0.3 else table.rows
    if rows is not table.rows:
        before, ends = (*before[:-1], "# Week\tFromNodeId\tToNodeId"), (1, 2)
        return replace(table, rows=rows, before=before, separator="\t", ends=ends)
    return replace(table, before=before, separator="\t", name="ca-Own.txt")


def comments(rng: Random) -> Table:
    table, _ = _plain("comments", rng, rng.choice((*WHOLE, "letters")))
    mark = rng.choice(("#", "%", "//", "  #"))
    lines = (f"{mark} links, of the year 2011", f"{mark}", "", f"{mark} source: a, b; c | d")
    return replace(table, before=lines[: rng.randint(1, 4)])


def titles(rng: Random) -> Table:
    """Prose before the table, of other numbers of words than it has columns."""
    table, graph = _plain("lines of a title", rng)
    lines = ("Links of our own graph", "", "Exported on a day of May by the machine in the hall")
    if rng.random() < 0.5:
        table = _known_header(table, graph, rng.choice(HEADERS[:5]))
    before = lines[: rng.randint(1, 3)]
    known = table.header is not None or graph.names[0].isdecimal()
    return replace(table, before=before, certain=table.certain and known)


def title_and_weights(rng: Random) -> Table:
    """A title with a word less than there are columns, as R's names of columns have."""
    table, _ = _plain("a short title", rng, rng.choice(WHOLE))
    rows = [[*row, str(rng.randint(1, 30))] for row in table.rows]
    title = rng.choice(("My graph", "from to", "Source Target"))
    return replace(table, rows=rows, before=(title,), separator=" ", certain=False)


def decimal_commas(rng: Random) -> Table:
    table, graph = _plain("decimal commas", rng)
    separator = rng.choice((";", "\t", "|", " "))
    certain = table.certain and separator != " "
    rows = [[*row, f"{rng.randint(0, 5)},{rng.randint(1, 99)}"] for row in table.rows]
    table = replace(table, rows=rows, separator=separator, certain=certain)
    if rng.random() < 0.6:
        table = _known_header(table, graph, [*rng.choice(HEADERS), "weight"])
    return replace(table, certain=table.certain and separator != " ")


def float_ids(rng: Random) -> Table:
    table, _ = _plain("float ids", rng, rng.choice(("from 0", "from 1", "gaps")))
    end, which = rng.choice((".0", ".00", ".")), rng.choice(((0, 1), (0,), (1,)))
    rows = [[cell + end if n in which else cell for n, cell in enumerate(row)]
            for row in table.rows]  # fmt: skip
    header = list(rng.choice(HEADERS)) if rng.random() < 0.5 else None
    return replace(table, rows=rows, header=header)


def two_kinds(rng: Random) -> Table:
    """Users and items: apart by their names, or with values in common, which a key decides."""
    overlapping = rng.random() < 0.6
    table, _ = _plain("two kinds of nodes", rng, "from 1" if overlapping else None)
    header = list(rng.choice((("user", "item"), ("author", "paper"), ("quelle", "ziel"))))
    if overlapping:
        keys = rng.choice(({}, {"bipartite": False}))
        return replace(table, header=header, truth=table.truth if keys else None, keys=keys)
    rows = [[f"U{u}", f"I{v}"] for u, v in table.rows]
    truth = Truth(frozenset(c for row in rows for c in row), frozenset(map(frozenset, rows)))
    return replace(table, header=header, rows=rows, truth=truth, certain=False)


def excel(rng: Random) -> Table:
    table, graph = _plain("Excel's sep=", rng)
    separator = rng.choice((";", ",", "|"))
    table = replace(table, separator=separator, before=(f"sep={separator}",))
    return _known_header(table, graph, rng.choice(HEADERS))


def with_keys(rng: Random) -> Table:
    """What is open, or would be read otherwise, and a key that decides."""
    what = rng.choice(("columns by number", "columns by name", "no header", "header", "separator"))
    ids = rng.choice(("from 0", "letters", "gaps"))
    table, _ = _plain("keys decide", rng, ids)
    if what == "columns by number":
        rows = [[str(rng.randint(1, 9)), v, "7", u] for u, v in table.rows]
        keys: dict[str, Any] = {"columns": {"source": 3, "target": 1}, "header": False}
        return replace(table, rows=rows, keys=keys, ends=(3, 1), certain=True)
    if what == "columns by name":
        rows = [["k", v, "7", u] for u, v in table.rows]
        keys = {"columns": {"source": "this one", "target": "that"}}
        header = ["kind", "that", "size", "this one"]
        return replace(table, rows=rows, keys=keys, header=header, ends=(3, 1), certain=True)
    if what == "header":
        names = ["x1", "x3"] if ids == "letters" else ["0", "1"]
        keys = {"header": True}
        return replace(table, header=names, keys=keys, certain=True)
    if what == "separator":
        separator = rng.choice(("_", "/", "=>", " to "))
        return replace(table, separator=separator, keys={"separator": separator})
    return replace(table, keys={"header": False}, certain=True)


def ambiguous_separators(rng: Random) -> Table:
    """Names with another separator in each, as they are, without quotes."""
    table, _ = _plain("names with separators", rng, "letters")
    inside = rng.choice(("::", "->", "|", ";", ", ", " "))
    others = [one for one in (",", ";", "\t") if one != inside.strip()]
    between = rng.choice([*others, " "] if inside in ("::", "->", "|") else others)
    long, one_side = f"std{inside}", rng.random() < 0.3
    rows = [[long + u, v if one_side else long + v] for u, v in table.rows]
    truth = Truth(frozenset(c for row in rows for c in row),
                  frozenset(frozenset(row) for row in rows if row[0] != row[1]))  # fmt: skip
    header = list(rng.choice(HEADERS[:4])) if rng.random() < 0.5 else None
    keys = {"raw": True}
    return replace(table, rows=rows, truth=truth, separator=between, header=header,
                   certain=False, keys=keys)  # fmt: skip


TABLES = (
    two_columns, named_columns, weighted, counts_first, row_numbers, index_column, default_names,
    gephi, from_r, konect, snap, comments, titles, title_and_weights, decimal_commas, float_ids,
    two_kinds, excel, with_keys, ambiguous_separators,
)  # fmt: skip


def _weight(rng: Random, separator: str) -> str:
    return rng.choice(("0.5", "1", "2", "17", "1e-3", "3.25"))


def _unix_time(rng: Random, separator: str) -> str:
    return str(rng.randint(10**9, 16 * 10**8))


def _date(rng: Random, separator: str) -> str:
    day = f"2011-0{rng.randint(1, 9)}-{rng.randint(10, 28)}"
    return day if separator == " " else f"{day} 10:{rng.randint(10, 59)}:00"


def _label(rng: Random, separator: str) -> str:
    return rng.choice(("friend", "colleague", "family"))


def _text(rng: Random, separator: str) -> str:
    return rng.choice(("", "met in May", "a, b", 'said "no"', "100 %", "x;y|z"))


def write(table: Table, rng: Random) -> OwnFile:
    """The file of a table, in some encoding, with some line end, packed or not."""
    keys = dict(table.keys)
    raw = keys.pop("raw", False)
    between, quoted = table.separator, table.quoted or (not raw and rng.random() < 0.1)

    def line(cells: Sequence[str]) -> str:
        return between.join(c if raw else _cell(c, between, quoted) for c in cells) + after

    after = between if between in (",", ";", "\t") and not raw and rng.random() < 0.08 else ""
    lines = [*table.before, *([line(table.header)] if table.header else []), *map(line, table.rows)]
    if rng.random() < 0.1:
        lines.insert(rng.randrange(len(table.before), len(lines)), "")
    end = rng.choice(("\n", "\n", "\r\n", "\r"))
    text = end.join(lines) + (end if rng.random() < 0.8 else "")
    encodings = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"]
    if text.isascii():
        encodings.append("utf-16-le")
    elif all(ord(letter) < 256 for letter in text):
        encodings.append("latin-1")
    content = text.encode(rng.choice(encodings))
    pack = rng.choice(("", "", "", *PACKERS))
    name = (table.name or f"own{rng.choice(_ENDINGS)}") + pack
    content = PACKERS[pack](content) if pack else content
    return OwnFile(table.kind, name, content, table.truth, table.certain, keys)


def _cell(text: str, separator: str, quoted: bool) -> str:
    blanks = not separator.strip(" ")
    holds = any(map(str.isspace, text)) if blanks else separator in text
    if quoted or holds or '"' in text or text.startswith(("#", "%", "//")):
        return '"' + text.replace('"', '""') + '"'
    return '""' if blanks and not text else text
