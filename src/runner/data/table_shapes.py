"""Texts that hold a graph and are no table of links: adjacency lists and matrices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from runner.data.distinct_ids import distinct
from runner.data.raw_graph import RawGraph, TableKeys
from runner.data.sheet import (
    INTEGER,
    NUMBER,
    SAMPLE,
    SAMPLE_BYTES,
    Sheet,
    refuse,
    split_line,
)

_SMALLEST_MATRIX = 4  # rows; three columns of numbers in three rows may be weighted links


def read_adjacency_list(sheet: Sheet) -> RawGraph:
    lines = sheet.text.decode().split("\n")
    rows = [split_line(line, sheet.separator) for line in lines if line.strip()]
    lists = [(row[0], [cell for cell in row[1:] if cell]) for row in rows]
    by_writer = any(re.match(r"\s*#\s*GMT ", line) for line in sheet.comments)
    links = {(u, v) for u, others in lists for v in others}
    once = len({u for u, _ in lists}) == len(lists)
    symmetric = once and len(links) > 0 and all((v, u) in links for u, v in links)
    if not (by_writer and once) and not symmetric:
        widths = Counter(map(len, rows))
        refuse(
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
    if keys.columns and any(value is not None for value in keys.columns.values()):
        return None
    rows = sheet.rows
    labelled = len(rows) == sheet.width and rows[0][0] == "" and len(rows) > 1 and (
        [row[0] for row in rows[1:]] == rows[0][1:]
    )  # fmt: skip
    if not labelled and len(rows) != sheet.width:
        return None
    if len(sheet.text) > SAMPLE_BYTES or len(rows) >= SAMPLE:
        lines = [line for line in sheet.text.decode().split("\n") if line.strip()]
        rows = [split_line(line, sheet.separator) for line in lines]
        if len(rows) != sheet.width or any(len(row) != sheet.width for row in rows):
            return None
    names = rows[0][1:] if labelled else None
    cells = [row[1:] for row in rows[1:]] if labelled else rows
    if not all(NUMBER.match(cell) for row in cells for cell in row):
        return None
    values = np.array([[float(cell.replace(",", ".")) for cell in row] for row in cells])
    if not labelled and len(rows) < _SMALLEST_MATRIX:
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
