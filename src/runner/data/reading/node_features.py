"""The features of a user's own graph, from its file or another one, in the order of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from runner.data.reading.feature_file import check_shape, is_table, read_features
from runner.data.reading.numbering import node_names, number_nodes, with_more_nodes
from runner.data.reading.raw_graph import RawGraph
from runner.data.reading.user_file import existing_file
from runner.errors import RunnerError

if TYPE_CHECKING:  # pyarrow takes its time, and arrays do without it
    from runner.data.reading.node_columns import Column
    from runner.data.reading.node_table import NodeTable


def with_features(
    file: Path,
    raw: RawGraph,
    features: str | None,
    nodes: str | None,
    num_nodes: int | None,
    bins: int | None = None,
) -> tuple[RawGraph, Tensor | None]:
    """The graph with its nodes numbered, and their features in that order.

    Args:
        features: a file of numbers, which are taken as they are.
        nodes: a file of numbers and categories, which are standardised and one-hot.
        bins: that these numbers are put into later, which is told.

    Raises:
        RunnerError: if nothing says which row is of which node, or a value makes no sense.
    """
    if features is not None and nodes is not None:
        raise RunnerError(
            "dataset.nodes and dataset.features both give features; leave one out: nodes are "
            "standardised, features are taken as they are"
        )
    key, path = ("dataset.nodes", nodes) if nodes is not None else ("dataset.features", features)
    if path is None:
        rows = len(raw.features) if raw.features is not None and raw.features.dim() > 0 else None
        return number_nodes(file, raw, num_nodes, rows), raw.features
    origin = existing_file(key, path)
    if raw.features is not None:
        raw = _told(raw, f"the features in {file.name} are not used")
    if is_table(key, origin):
        return _from_table(key, file, raw, origin, num_nodes, bins)
    given = read_features(key, origin)
    raw = number_nodes(file, raw, num_nodes, len(given) if given.dim() > 0 else None, key)
    if nodes is None:
        return raw, given
    from runner.data.reading.node_columns import Column, to_arrow

    count = len(node_names(raw, num_nodes))
    check_shape(key, path, given, count)
    array = given.detach().to(torch.float64).numpy()
    columns = [Column(f"number {n}", to_arrow(array[:, n])) for n in range(array.shape[1])]
    return _encoded(raw, key, origin, columns, np.arange(count), {"ids": None}, bins)


def _from_table(
    key: str, file: Path, raw: RawGraph, origin: Path, num_nodes: int | None, bins: int | None
) -> tuple[RawGraph, Tensor | None]:
    from runner.data.reading.node_columns import some
    from runner.data.reading.node_table import read_node_table

    names = node_names(raw, num_nodes)
    table = read_node_table(key, origin, names)
    facts: dict[str, Any] = {"ids": table.id_column}
    if table.ids is None:
        raw = number_nodes(file, raw, num_nodes, table.rows, key)
        rows = np.arange(table.rows)
        raw = _told(raw, f"no column has ids: the rows are those of nodes 0 to {table.rows - 1}")
    else:
        known = set(names)
        new = [name for name in table.ids.to_pylist() if name not in known]
        raw = number_nodes(file, with_more_nodes(raw, new, num_nodes), num_nodes, None)
        names = node_names(raw, num_nodes)
        rows = table.rows_of(names)
        facts |= {"unknown ids": len(new), "nodes without a row": int((rows < 0).sum())}
        raw = _told(raw, f"features are joined by the ids in column {table.id_column}")
    if key == "dataset.features":
        raw = _told(raw, f"features: {some([column.name for column in table.columns])}")
        return raw, _as_they_are(table, rows, names)
    names = node_names(raw, num_nodes)
    if len(rows) != len(names):
        raise RunnerError(
            f"{key}={origin}: {len(rows)} rows without ids, the graph has {len(names)} nodes; give "
            "the table a column of ids, called id"
        )
    without = int((rows < 0).sum())
    if without:
        raw = _told(raw, f"{without} of {len(names)} nodes have no row: their features are 0")
    return _encoded(raw, key, origin, table.columns, rows, facts, bins)


def _as_they_are(table: NodeTable, rows: np.ndarray, nodes: Sequence[str]) -> Tensor:
    from runner.data.reading.node_table import numbers_as_they_are

    values = numbers_as_they_are(table)
    without = np.flatnonzero(rows < 0)
    if len(without):
        raise RunnerError(
            f"{table.key}={table.file}: {len(without)} of the {len(nodes)} nodes have no row, as "
            f"{nodes[without[0]]!r}; give each node one, or read the table as dataset.nodes=…"
        )
    return values[rows]


def _encoded(
    raw: RawGraph, key: str, file: Path, columns: Sequence[Column], rows: np.ndarray,
    facts: dict[str, Any], bins: int | None,
) -> tuple[RawGraph, Tensor | None]:  # fmt: skip
    from runner.data.reading.node_columns import encode

    features = encode(key, file, columns, rows, bins)
    raw = _told(raw, *features.notes())
    said = {"node table": {**facts, **features.facts()}}
    raw = replace(raw, facts={**raw.facts, **said}, standardised=tuple(features.standardised))
    return raw, features.tensor()


def _told(raw: RawGraph, *notes: str) -> RawGraph:
    return replace(raw, notes=(*raw.notes, *notes))
