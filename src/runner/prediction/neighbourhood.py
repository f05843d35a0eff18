"""The few nodes of an explanation that its picture shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas
import torch

from runner.models.explanation import PROBABILITY
from runner.ops.csr import Graph

MOST = 60  # neighbours drawn


@dataclass(frozen=True)
class Neighbour:
    """A node beside the pair, or one end of it.

    Attributes:
        side: of which end it is a neighbour, "common" for both.
        contribution: the largest of its roles; None where the model does not give any.
        probability: of the link that it lacks to the other end; None where none is completed.
        roles: its rows of the table, without its name and degree.
    """

    name: str
    degree: int
    side: Literal["source", "target", "common"]
    contribution: float | None
    probability: float | None
    roles: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Neighbourhood:
    """What is drawn.

    Attributes:
        linked: whether the graph has the link of the pair.
        neighbours: the largest contributions first.
        links: among the neighbours, as places in that list.
        places: of each row of the table, the place in that list, or None.
        left_out: neighbours that are not drawn.
    """

    source: Neighbour
    target: Neighbour
    linked: bool
    neighbours: Sequence[Neighbour]
    links: Sequence[tuple[int, int]]
    places: Sequence[int | None]
    left_out: int


def neighbourhood(
    table: pandas.DataFrame, pair: tuple[int, int], graph: Graph, names: Sequence[str | int]
) -> Neighbourhood:
    """Choose the nodes of the largest contributions, and find the links among them.

    Args:
        table: a row for each role of a node, in order: `number`, `group`, `contribution`, `degree`
            and further columns.
    """
    listed = [node for node in table["number"].unique().tolist() if node not in pair]
    shown = listed[:MOST]
    roles = dict(iter(table[table["number"].isin([*pair, *shown])].groupby("number")))
    nodes = torch.tensor([*pair, *shown])
    all_pairs = torch.cartesian_prod(nodes, nodes).T.contiguous()
    cpu = graph.to("cpu")
    linked = (cpu.find(all_pairs) >= 0).view(len(nodes), len(nodes)).numpy()
    source, target, *others = (
        _neighbour(
            str(names[node]),
            int(cpu.rowptr[node + 1] - cpu.rowptr[node]),
            _side(*linked[:2, place]),
            roles.get(node),
        )
        for place, node in enumerate(nodes.tolist())
    )
    place_of = {node: place for place, node in enumerate(shown)}
    return Neighbourhood(
        source=source,
        target=target,
        linked=bool(linked[0, 1]),
        neighbours=others,
        links=[(a, b) for a, b in np.argwhere(np.triu(linked[2:, 2:], 1)).tolist()],
        places=[place_of.get(node) for node in table["number"].tolist()],
        left_out=len(listed) - len(shown),
    )


def _side(of_source: bool, of_target: bool) -> Literal["source", "target", "common"]:
    if of_source == of_target:
        return "common"
    return "source" if of_source else "target"


def _neighbour(
    name: str,
    degree: int,
    side: Literal["source", "target", "common"],
    rows: pandas.DataFrame | None,
) -> Neighbour:
    if rows is None:
        return Neighbour(name, degree, side, None, None, [])
    contribution, probability = (
        float(rows[column].dropna().iloc[0])
        if column in rows and rows[column].notna().any()
        else None
        for column in ("contribution", PROBABILITY)
    )
    plain = rows.drop(columns=["number", "node", "degree"])
    found = [
        {key: value for key, value in row.items() if not pandas.isna(value)}
        for row in plain.to_dict("records")
    ]
    return Neighbour(name, degree, side, contribution, probability, found)
