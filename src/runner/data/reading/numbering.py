"""The nodes of a graph: which there are, and which number each has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from runner.data.reading.distinct_ids import places
from runner.data.reading.raw_graph import RawGraph
from runner.errors import RunnerError

_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)


def number_nodes(
    file: Path,
    raw: RawGraph,
    num_nodes: int | None,
    feature_rows: int | None,
    key: str = "dataset.features",
) -> RawGraph:
    """Numbers from 0 in the place of ids: in ascending order, so that 0…N-1 stay themselves.

    Ids stay themselves too where `num_nodes` or the rows of features say that every number below
    is a node.
    """
    if raw.names is not None and feature_rows is not None:
        raise RunnerError(
            f"{key}: which row is of which node? The nodes in {file} have names; give a "
            "table (.csv) with a column of these names"
        )
    if raw.names is not None or raw.ids is None:
        if num_nodes is None or raw.num_nodes in (None, num_nodes):
            return raw
        assert raw.num_nodes is not None
        if raw.names is None or num_nodes < raw.num_nodes:
            raise RunnerError(
                f"dataset.num_nodes={num_nodes}: {file} says that there are {raw.num_nodes}; "
                "leave it out"
            )
        alone = [f"(no name) {number}" for number in range(raw.num_nodes, num_nodes)]
        return replace(raw, num_nodes=num_nodes, names=np.append(raw.names, alone))
    if not len(raw.ids):
        return raw
    low, high, count = int(raw.ids[0]), int(raw.ids[-1]), len(raw.ids)
    wanted = num_nodes or (feature_rows if feature_rows == high + 1 else None)
    if low >= 0 and (high == count - 1 or (wanted is not None and high < wanted)):
        return replace(raw, num_nodes=wanted or count, ids=None)
    if wanted is not None and wanted < count:
        raise RunnerError(
            f"dataset.num_nodes={wanted}: {file} has links of {count} nodes; leave it out"
        )
    if feature_rows is not None:
        raise RunnerError(
            f"{key}: which row is of which node? The ids in {file} are {count} numbers "
            f"from {low} to {high}, not 0 to {count - 1}; give a table (.csv) with a column of ids"
        )
    total = max(count, wanted or 0)
    names = [*map(str, raw.ids.tolist()), *(f"(no name) {n}" for n in range(count, total))]
    edges = torch.from_numpy(places(raw.ids, raw.edges.numpy()))
    note = f"numbered the {count} ids, {low} to {high}, in their order"
    return replace(
        raw, edges=edges, num_nodes=total, ids=None, names=np.array(names, dtype=object),
        notes=(*raw.notes, note), facts={**raw.facts, "ids renumbered": True},
    )  # fmt: skip


def node_names(raw: RawGraph, num_nodes: int | None) -> list[str]:
    """The names of all nodes that are known so far, numbers as text."""
    if raw.names is not None:
        return [str(name) for name in raw.names]
    if raw.ids is not None:
        return [str(number) for number in raw.ids.tolist()]
    highest = int(raw.edges.max()) + 1 if raw.edges.numel() else 0
    return [str(number) for number in range(raw.num_nodes or num_nodes or highest)]


def with_more_nodes(raw: RawGraph, new: Sequence[str], num_nodes: int | None) -> RawGraph:
    """With the nodes that only a node table has, which have no link.

    Where the graph's file says how many nodes there are, or nodes are of two kinds, they are left
    out.
    """
    if not new:
        return raw
    if raw.num_sources is not None or (raw.names is None and raw.ids is None):
        note = f"left out {len(new)} rows of the node table: the graph has no such ids, as {new[0]}"
        return replace(raw, notes=(*raw.notes, note))
    note = f"{len(new)} nodes of the node table have no link"
    raw = replace(raw, notes=(*raw.notes, note))
    if raw.ids is not None and all(map(_WHOLE.fullmatch, new)):
        return replace(raw, ids=np.union1d(raw.ids, np.array(list(map(int, new)), dtype=np.int64)))
    names = np.array([*node_names(raw, num_nodes), *new], dtype=object)
    edges = raw.edges
    if raw.ids is not None:
        edges = torch.from_numpy(places(raw.ids, edges.numpy()))
    return replace(raw, edges=edges, ids=None, names=names, num_nodes=len(names))
