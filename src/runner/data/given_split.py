"""A split that the user brings: train, validation and test are in the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.data.splits import sample_non_links
from runner.data.whole_graph import LinkSplit, Split, WholeGraph, distinct_links
from runner.errors import RunnerError
from runner.keys import Multiple, RunSeed


class GivenSplit(LinkSplit):
    """The parts that the files have; negatives that they lack are drawn, from no link of any part.

    Args:
        seed: of the negatives that are drawn.
        valid_negatives, test_negatives: negatives a positive, where they are drawn.
    """

    takes_parts: ClassVar[bool] = True

    def __init__(
        self, *, seed: RunSeed, valid_negatives: Multiple, test_negatives: Multiple
    ) -> None:
        self.seed = seed
        self.times = {"valid": valid_negatives, "test": test_negatives}

    def split(self, whole: WholeGraph) -> Split:
        given = whole.parts
        if given is None:
            raise RunnerError(
                "protocol=files: the dataset has no parts of its own; give dataset.valid=… and "
                "dataset.test=… beside dataset.path, the training links"
            )
        scored = {"valid": given.valid, "test": given.test}
        wanted = {
            name: max(1, round(part.positive.shape[1] * self.times[name]))
            for name, part in scored.items()
            if not part.negative.shape[1]
        }
        generator = torch.Generator().manual_seed(self.seed)
        drawn = sample_non_links(whole, sum(wanted.values()), generator)
        pieces = drawn.split(list(wanted.values()), dim=1)
        for name, negative in zip(wanted, pieces, strict=True):
            scored[name] = EvaluationSplit(scored[name].positive, negative)
        notes = [f"drew {count} negatives for the {name} part" for name, count in wanted.items()]
        return replace(
            given,
            valid=scored["valid"],
            test=scored["test"],
            told=(
                given.train,
                given.valid.positive,
                given.valid.negative,
                given.test.positive,
                given.test.negative,
            ),
            notes=(*given.notes, *notes),
            facts={**given.facts, "negatives drawn": wanted},
        )


def cut(
    edges: Tensor, parts: Mapping[str, int], num_nodes: int, *, directed: bool
) -> tuple[Tensor, Split | None]:
    """The links of a graph, and its parts where it has some.

    Links are without repeats and self-loops, negatives as they stand.

    Args:
        edges: (2, R) int64, of all parts in their order.
        parts: the number of edges of each; none for a graph that is not split.

    Raises:
        RunnerError: if a part has no link, or none with a node that training knows.
    """
    if not parts:
        return edges, None
    rows = dict(zip(parts, edges.split(list(parts.values()), dim=1), strict=True))
    split = _split_of(rows, num_nodes, directed)
    return torch.cat([rows[name] for name in ("train", "valid", "test")], dim=1), split


def _split_of(rows: Mapping[str, Tensor], num_nodes: int, directed: bool) -> Split:
    links = {
        name: distinct_links(
            rows[name] if directed else rows[name].sort(dim=0).values, num_nodes
        )
        for name in ("train", "valid", "test")
    }  # fmt: skip
    known = links["train"].unique()
    for name in ("train", "valid", "test"):
        if not links[name].shape[1]:
            raise RunnerError(f"dataset.{name if name != 'train' else 'path'}: it has no links")
        if not torch.isin(links[name], known).any():
            raise RunnerError(
                f"dataset.{name}: none of its nodes has a training link; are they called as in "
                "dataset.path?"
            )
    none = rows["train"][:, :0]
    negatives = {name: rows.get(f"{name}_negatives", none) for name in ("valid", "test")}
    scored = torch.cat([links["valid"], links["test"]], dim=1).unique()
    counts = {
        "nodes without a training link": int((~torch.isin(scored, known)).sum()),
        "nodes of negatives alone": _number_outside(negatives, torch.cat([known, scored])),
    }
    words = (
        "{} nodes of validation and test have no training link",
        "{} nodes stand in negatives alone, and have no link",
    )
    return Split(
        links["train"],
        EvaluationSplit(links["valid"], negatives["valid"]),
        EvaluationSplit(links["test"], negatives["test"]),
        notes=tuple(
            line.format(count) for line, count in zip(words, counts.values(), strict=True) if count
        ),
        facts=counts,
    )


def _number_outside(negatives: Mapping[str, Tensor], known: Tensor) -> int:
    nodes = torch.cat([part.flatten() for part in negatives.values()]).unique()
    return int((~torch.isin(nodes, known)).sum())
