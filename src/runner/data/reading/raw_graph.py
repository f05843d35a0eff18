"""What a file says of a graph, before it becomes a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from runner.data.times import Times


@dataclass(frozen=True, eq=False)
class RawGraph:
    """Links between numbered nodes.

    Attributes:
        edges: (2, M) int64, repeats and self-loops included.
        num_nodes: None where the file does not say it.
        features: (N, F), where the file has them.
        names: (N,) of strings, where nodes have names: the edges hold places in it.
        times: of the links, where they have times.
        untimed: why a column of times that was found has none.
        ids: (K,) int64, ascending and distinct, where whole numbers are the nodes' names: the edges
            hold these.
        num_sources: of two kinds of nodes the number of the first kind, whose nodes come first.
        parts: the number of edges of each part, in their order, where the file has a split of its
            own: train, valid, test, and valid_negatives and test_negatives where it has some.
        standardised: columns of the features of mean 0 and deviation 1, NaN where one is missing.
        notes: what was decided, a line each.
        facts: the same for `meta.json`.
    """

    edges: Tensor
    num_nodes: int | None = None
    features: Tensor | None = None
    names: np.ndarray | None = None
    ids: np.ndarray | None = None
    times: Times | None = None
    untimed: str = ""
    num_sources: int | None = None
    standardised: tuple[int, ...] = ()
    parts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TableKeys:
    """The user's word on an edge table; None is found out.

    Attributes:
        columns: of source, target, weight and time: a name, or a number from 0.
    """

    columns: Mapping[str, str | int | None] = field(default_factory=dict)
    header: bool | None = None
    separator: str | None = None
    encoding: str | None = None
    bipartite: bool | None = None

    @property
    def name_columns(self) -> bool:
        return any(value is not None for value in self.columns.values())
