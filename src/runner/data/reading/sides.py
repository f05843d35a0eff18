"""Bipartite graphs: the two ends of a link are of two kinds, each with ids of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from runner.data.reading.raw_graph import RawGraph, TableKeys
from runner.errors import RunnerError


def with_sides(
    file: Path, raw: RawGraph, keys: TableKeys, directed: bool | None, num_nodes: int | None
) -> RawGraph:
    """The graph as it is, or with its two kinds of nodes apart: sources first, then targets.

    Raises:
        RunnerError: if the file has two kinds of nodes and nobody said so, or other keys
            contradict it.
    """
    if not keys.bipartite:
        if raw.num_sources is not None:
            raise RunnerError(
                f"dataset.path={file}: its matrix is not square: are its rows and columns two "
                "kinds of nodes? Say dataset.bipartite=true"
            )
        return raw
    if directed:
        raise RunnerError(
            "dataset.directed=true: the links of a bipartite graph go from its sources to its "
            "targets anyway; leave it out"
        )
    if num_nodes is not None:
        raise RunnerError(
            f"dataset.num_nodes={num_nodes}: of which kind are those without a link? Leave it out "
            "with dataset.bipartite=true"
        )
    if raw.num_sources is not None:
        return raw
    if raw.features is not None:
        raise RunnerError(
            f"dataset.bipartite=true: {file} has features for nodes of one kind; leave it out"
        )
    return _set_apart(file, raw)


def refuse_shared_names(raw: RawGraph, features: str | None, key: str) -> None:
    """Refuse features, of a key, that are joined by names which a source and a target share."""
    if features is None or raw.num_sources is None or raw.names is None:
        return
    shared = set(raw.names[: raw.num_sources]) & set(raw.names[raw.num_sources :])
    if shared:
        raise RunnerError(
            f"{key}={features}: {min(shared)} is a source and a target: whose are its "
            "features? Give the two kinds ids that differ"
        )


def _set_apart(file: Path, raw: RawGraph) -> RawGraph:
    sides, ends = zip(
        *(np.unique(end, return_inverse=True) for end in raw.edges.numpy()), strict=True
    )
    both = np.intersect1d(*sides)
    if len(both) and "columns" not in raw.facts:
        raise RunnerError(
            f"dataset.bipartite=true: {len(both)} nodes of {file} are first and second ends of "
            "links; leave it out, or give a table whose columns are the two kinds"
        )
    edges = torch.from_numpy(np.stack([ends[0], len(sides[0]) + ends[1]]))
    numbers = np.concatenate(sides)
    names = (
        raw.names[numbers]
        if raw.names is not None
        else np.array([str(number) for number in numbers], dtype=object)
    )
    return replace(
        raw, edges=edges, num_nodes=len(numbers), names=names, ids=None, num_sources=len(sides[0])
    )
