"""Texts that hold a graph and are no table of links: adjacency lists and matrices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from runner.data.reading import column_names
from runner.data.reading.distinct_ids import distinct
from runner.data.reading.raw_graph import RawGraph, TableKeys
from runner.data.reading.separators import split_line
from runner.data.reading.sheet import (
    INTEGER,
    NUMBER,
    SAMPLE,
    SAMPLE_BYTES,
    Sheet,
    count_rows,
    refuse,
    row_name,
)

_NETWORKX = re.compile(r"\s*#\s*GMT ")  # its writer's comment
_MOST = 0.9  # of the lines, of one width in a table with mistakes
_MOST_COLUMNS = 4  # of links: their ends, a weight and a time
_SMALLEST_OBLONG = 3  # rows, and columns
_SMALLEST_MATRIX = 4  # rows; three columns of numbers in three rows may be weighted links


def read_adjacency_list(sheet: Sheet) -> RawGraph:
    sheet.skipped = 0  # a line of one node above the others is one of a node without a link
    lists = _lists(_all_rows(sheet))
    by_writer = any(map(_NETWORKX.match, sheet.comments))
    once = len({u for u, _ in lists}) == len(lists)
    if not (by_writer and once) and not _are_mutual(lists):
        _refuse_odd_line(sheet)
        widths = sorted({len(others) + 1 for _, others in lists})
        refuse(
            sheet,
            f"its lines have different numbers of fields ({widths[0]} to {widths[-1]}): an "
            "adjacency list is taken where each node has one line and each link stands on both "
            "its nodes' lines, or networkx wrote it; a table has as many fields in each line",
        )
    order = dict.fromkeys(u for u, _ in lists) | dict.fromkeys(v for _, o in lists for v in o)
    nodes = list(dict.fromkeys([*(u for u, _ in lists), *order]))
    pairs = [(u, v) for u, others in lists for v in others]
    sheet.notes.append("read as an adjacency list: a line has a node and its neighbours")
    sheet.facts["shape"] = "adjacency list"
    return _numbered(sheet, [u for u, _ in pairs], [v for _, v in pairs], nodes)


def _refuse_odd_line(sheet: Sheet) -> None:
    """A few lines of another width in a table are mistakes."""
    widths = Counter(len(row) for row in _all_rows(sheet))
    width, count = widths.most_common(1)[0]
    if not _MOST * widths.total() <= count < widths.total():
        return
    row, found = next(
        (row, len(cells)) for row, cells in enumerate(_all_rows(sheet)) if len(cells) != width
    )
    refuse(
        sheet,
        f"{row_name(sheet, row)} has {found} fields, most rows have {width}; mend the row, or put "
        "quotes around a name with a separator",
    )


def refuse_transposed(sheet: Sheet, keys: TableKeys) -> None:
    """PyG's `edge_index` as it stands: all sources in one line, all targets in the other."""
    is_table = keys.name_columns or sheet.width <= _MOST_COLUMNS or len(sheet.rows) > 2
    if is_table or count_rows(sheet) != 2:
        return
    rows = _all_rows(sheet)
    if all(len(row) == sheet.width and all(map(NUMBER.match, row)) for row in rows):
        refuse(
            sheet,
            f"it has two lines of {sheet.width} numbers each, as an edge_index with all sources in "
            "one and all targets in the other; transpose it, so that each row has a link",
        )


def is_adjacency_list(sheet: Sheet, keys: TableKeys) -> bool:
    """Whether lines are lists of neighbours, even if all have as many fields, as a ring's have."""
    if sheet.width == 0:
        return True
    if keys.name_columns or sheet.names is not None:
        return False
    if any(map(_NETWORKX.match, sheet.comments)):
        return True
    if sheet.width < 3 or not _are_mutual(_lists(sheet.rows), among_them=True):
        return False
    return _are_mutual(_lists(_all_rows(sheet)))


def _lists(rows: Sequence[Sequence[str]]) -> list[tuple[str, list[str]]]:
    return [(row[0], [cell for cell in row[1:] if cell]) for row in rows]


def _are_mutual(lists: Sequence[tuple[str, Sequence[str]]], among_them: bool = False) -> bool:
    """Whether each node has one list, and is in the lists of its neighbours."""
    nodes = {u for u, _ in lists}
    if len(nodes) < len(lists):
        return False
    links = {(u, v) for u, others in lists for v in others if not among_them or v in nodes}
    return len(links) > 0 and all((v, u) in links for u, v in links)


def _all_rows(sheet: Sheet) -> list[list[str]]:
    lines = [line for line in sheet.text.decode().split("\n") if line.strip()]
    return [split_line(line, sheet.separator) for line in lines[sheet.skipped :]]


def _numbered(
    sheet: Sheet, sources: Sequence[str], targets: Sequence[str], nodes: Sequence[str]
) -> RawGraph:
    """Links between names; whole numbers in ascending order, text by first appearance."""
    if all(INTEGER.match(node) for node in nodes):
        ends = np.array([[int(u) for u in sources], [int(v) for v in targets]], dtype=np.int64)
        alone = np.setdiff1d([int(node) for node in nodes], ends)
        return with_ids(sheet, np.concatenate([ends, np.stack([alone, alone])], axis=1))
    index = {name: number for number, name in enumerate(nodes)}
    edges = torch.tensor([[index[u] for u in sources], [index[v] for v in targets]])
    return RawGraph(
        edges, len(index), names=np.array(list(index), dtype=object), notes=tuple(sheet.notes),
        facts=sheet.facts,
    )  # fmt: skip


def with_ids(sheet: Sheet, ends: np.ndarray) -> RawGraph:
    return RawGraph(
        torch.from_numpy(ends), ids=distinct(ends), notes=tuple(sheet.notes), facts=sheet.facts
    )


def read_matrix(sheet: Sheet, keys: TableKeys) -> RawGraph | None:
    """An adjacency matrix: as many columns as rows, numbers all, with or without names."""
    if keys.name_columns:
        return None
    is_whole = len(sheet.text) <= SAMPLE_BYTES and len(sheet.rows) < SAMPLE
    if len(sheet.rows) > sheet.width + 1:
        return None
    count = len(sheet.rows) if is_whole else count_rows(sheet)
    if count - sheet.width not in (-1, 0, 1):
        return None
    rows = sheet.rows if is_whole else _all_rows(sheet)
    if any(len(row) != sheet.width for row in rows):
        return None
    names, cells = _names_around(sheet, rows)
    if len(cells) != len(cells[0]) or not all(NUMBER.match(c) for row in cells for c in row):
        return None
    values = np.array([[float(cell.replace(",", ".")) for cell in row] for row in cells])
    if names is None and len(rows) < _SMALLEST_MATRIX:
        if len(rows) < 3:
            return None
        refuse(
            sheet,
            f"{len(rows)} rows of {len(rows)} numbers are a matrix or links with a weight; name "
            "the columns of links (dataset.columns.source=0 dataset.columns.target=1)",
        )
    sheet.notes.append(f"read as an adjacency matrix of {len(values)} rows")
    sheet.facts["shape"] = "matrix"
    edges = torch.from_numpy(np.stack(np.nonzero(values)))
    found = None if names is None else np.array(names, dtype=object)
    return RawGraph(edges, len(values), names=found, notes=tuple(sheet.notes), facts=sheet.facts)


def refuse_oblong(sheet: Sheet, keys: TableKeys) -> None:
    """A matrix of numbers that is not square: wide, of 0 and 1, or each column mostly zeros."""
    rows = sheet.rows
    is_small = min(len(rows), sheet.width) < _SMALLEST_OBLONG
    if keys.name_columns or is_small or not all(NUMBER.match(c) for row in rows for c in row):
        return
    cells = np.array([[float(cell.replace(",", ".")) for cell in row] for row in rows])
    may_be_wide = max(len(rows), _MOST_COLUMNS) < sheet.width
    is_wide = may_be_wide and count_rows(sheet) < sheet.width
    if is_wide or np.isin(cells, (0, 1)).all() or (2 * (cells == 0).sum(axis=0) > len(rows)).all():
        refuse(
            sheet,
            f"{count_rows(sheet)} rows of {sheet.width} numbers: a matrix of a bipartite graph? "
            "Write a .mtx, .npz or .mat file, or a link in each row",
        )


def _names_around(
    sheet: Sheet, rows: Sequence[Sequence[str]]
) -> tuple[Sequence[str] | None, Sequence[Sequence[str]]]:
    """Names of the nodes above the matrix, and before it, and the rest."""
    body = [row[1:] for row in rows]
    if sheet.names is not None and [row[0] for row in rows] == sheet.names[1:]:  # as R writes it
        return sheet.names[1:], body
    if rows[0][0] == "" and [row[0] for row in rows[1:]] == rows[0][1:]:
        return rows[0][1:], body[1:]
    above = rows[0]
    if len(rows) == sheet.width + 1 > _SMALLEST_MATRIX and len(set(above)) == len(above):
        known = column_names.others(above).values()
        if _are_numbered(above) or (column_names.ends(above) is None and set(known) == {None}):
            return above, rows[1:]
    return None, rows


def _are_numbered(names: Sequence[str]) -> bool:
    """Whether names count from one to the next: 0, 1, … or V1, V2, …"""
    found = [re.fullmatch(r"(\D*)(\d+)", name) for name in names]
    parts = [(match[1], int(match[2])) for match in found if match]
    return parts == [(parts[0][0], parts[0][1] + n) for n in range(len(names))] if parts else False
