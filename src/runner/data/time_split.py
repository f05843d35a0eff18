"""A split of a graph's links by their times."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from runner.config.schema import Overlap
from runner.data.link_data import EvaluationSplit
from runner.data.splits import require_training_share, sample_non_links
from runner.data.times import DATE, NoTime, Times, read_times
from runner.data.whole_graph import LinkSplit, Split, WholeGraph
from runner.errors import RunnerError
from runner.keys import Multiple, RunSeed, Share, Text

_VALID, _TEST = 0.1, 0.2
# A pair that is no link up to the end of validation may become one.
_BECOMES: tuple[Overlap, ...] = ("valid_negative_in_test",)
_AGAIN: tuple[Overlap, ...] = ("valid_in_train", "test_in_train", "test_in_valid")


class TimeSplit(LinkSplit):
    """The rows in the order of their times, cut into train, validation and test.

    Rows of the same time stay in one part. The links of a part are the distinct pairs of its rows;
    self-loops are no rows. A pair counts as seen where an earlier part has it in either direction,
    since message passing sees both.
    Negatives of a part are drawn uniformly from the pairs that are no link up to the end of the
    part, among the nodes that have a link by then; ordered pairs of a directed graph. Training
    negatives have no node that first appears later either.

    Args:
        valid, test: shares of the rows, 0.1 and 0.2 where nothing is given; cut where the time
            changes, as near to the share as can be.
        valid_from, test_from: a date or a number in the place of shares: the first time of the
            part. Dates are in UTC where they name no zone.
        repeated: drop: links that were seen before leave the later parts.
        seed: of the generator that draws the negatives.
        valid_negatives, test_negatives: negatives a positive.
    """

    def __init__(
        self,
        *,
        valid: Share | None,
        test: Share | None,
        valid_from: Text | int | float | None,
        test_from: Text | int | float | None,
        repeated: Literal["drop", "keep"],
        seed: RunSeed,
        valid_negatives: Multiple,
        test_negatives: Multiple,
    ) -> None:
        by_date = valid_from is not None or test_from is not None
        if by_date and (valid_from is None or test_from is None):
            missing = "valid_from" if valid_from is None else "test_from"
            raise RunnerError(f"protocol.split.{missing}: give both valid_from and test_from")
        if by_date and (valid is not None or test is not None):
            raise RunnerError(
                "protocol.split: shares (valid, test) and dates (valid_from, test_from) are given; "
                "give one of the two"
            )
        self.valid = _VALID if valid is None else valid
        self.test = _TEST if test is None else test
        require_training_share(self.valid, self.test, "training links")
        self.valid_from = valid_from
        self.test_from = test_from
        self.repeated = repeated
        self.seed = seed
        self.valid_negatives = valid_negatives
        self.test_negatives = test_negatives

    def split(self, whole: WholeGraph) -> Split:
        times = whole.times
        if whole.rows is None or times is None:
            why = whole.untimed or (
                "the links of this graph have no times; name their column with "
                "dataset.columns.time=… (dataset=edges), or take protocol=random"
            )
            raise RunnerError(f"protocol=time: {why}")
        is_link = whole.rows[0] != whole.rows[1]
        rows, values = whole.rows[:, is_link], times.values[is_link]
        starts = self._starts(times, values.sort().values)
        part = torch.bucketize(values, torch.tensor(starts), right=True)

        def graph_of(chosen: Tensor) -> WholeGraph:
            return WholeGraph.of(
                rows[:, chosen],
                whole.num_nodes,
                directed=whole.directed,
                num_sources=whole.num_sources,
            )

        until = [graph_of(part <= end) for end in range(3)]
        train, *later = (graph_of(part == number).links for number in range(3))
        is_seen = [
            graph.graph.find(links) >= 0 for graph, links in zip(until[:2], later, strict=True)
        ]
        if self.repeated == "drop":
            later = [links[:, ~seen] for links, seen in zip(later, is_seen, strict=True)]
        generator = torch.Generator().manual_seed(self.seed)
        valid = _evaluated("validation", later[0], until[1], self.valid_negatives, generator)
        test = _evaluated("test", later[1], until[2], self.test_negatives, generator)
        degrees = [graph.graph.degree() for graph in until]
        facts = {
            "valid from": times.words(starts[0]),
            "test from": times.words(starts[1]),
            "rows": torch.bincount(part, minlength=3).tolist(),
            "links": [links.shape[1] for links in (train, *later)],
            "seen before": [int(seen.sum()) for seen in is_seen],
            "new nodes": [
                int(((now > 0) & (before == 0)).sum()) for before, now in pairwise(degrees)
            ],
            "links of nodes without training links": [
                int((degrees[0][links] == 0).any(dim=0).sum()) for links in later
            ],
        }
        return Split(
            train,
            valid,
            test,
            nodes_arrive=True,
            told=(train, *later),
            permitted=_BECOMES if self.repeated == "drop" else (*_BECOMES, *_AGAIN),
            notes=_words(facts, dates=times.dates, repeated=self.repeated),
            facts={"time split": facts},
        )

    def _starts(self, times: Times, values: Tensor) -> tuple[int, int]:
        """The first times of validation and test, for the times of all rows, ascending."""
        places = values.diff().nonzero().flatten() + 1  # where the time changes
        if len(places) < 2:
            raise RunnerError(
                f"protocol=time: the links have {len(places) + bool(len(values))} different times, "
                "and three parts need three; take protocol=random, or name another column with "
                "dataset.columns.time=…"
            )
        if self.valid_from is not None and self.test_from is not None:
            valid = _value("valid_from", self.valid_from, times)
            test = _value("test_from", self.test_from, times)
            if not values[0] < valid <= values[-1] >= test > valid:
                raise RunnerError(
                    f"protocol.split: valid_from={self.valid_from} and test_from={self.test_from} "
                    f"do not cut the times, {times.words(int(values[0]))} to "
                    f"{times.words(int(values[-1]))}, into three parts, one after another"
                )
            if not ((values >= valid) & (values < test)).any():
                raise RunnerError(
                    f"protocol.split: no link has a time from valid_from={self.valid_from} to "
                    f"test_from={self.test_from}; cut elsewhere"
                )
            return valid, test
        count = len(values)
        test = _nearest(places[1:], count * (1 - self.test))
        valid = _nearest(places[places < test], count * (1 - self.test - self.valid))
        return int(values[valid]), int(values[test])


def _evaluated(
    name: str, links: Tensor, graph: WholeGraph, multiple: float, generator: torch.Generator
) -> EvaluationSplit:
    """The links of a part with their negatives, for the graph of all links up to its end."""
    count = links.shape[1]
    if not count:
        raise RunnerError(
            f"protocol.split: all links of the {name} were seen before it; cut elsewhere "
            "(protocol.split.valid_from=… test_from=…), or set protocol.split.repeated=keep"
        )
    nodes = (graph.graph.degree() > 0).nonzero().flatten()
    wanted = max(1, round(count * multiple))
    return EvaluationSplit(links, sample_non_links(graph, wanted, generator, nodes))


def _nearest(places: Tensor, wanted: float) -> int:
    return int(places[(places - wanted).abs().argmin()])


def _value(key: str, given: str | float, times: Times) -> int:
    """A cut among the values of some times."""
    import pyarrow

    text = str(given)
    try:
        found = read_times(pyarrow.array([text]))
    except NoTime:
        found = None
    if found is None or (not found.dates if times.dates else DATE.match(text)):
        kind = "dates: give one, as 2024-05-31" if times.dates else "numbers: give one"
        raise RunnerError(f"protocol.split.{key}={text}: the times of the links are {kind}")
    return -(-int(found.values[0]) * times.scale // found.scale)


def _words(facts: dict[str, Any], *, dates: bool, repeated: str) -> tuple[str, ...]:
    zone = " (UTC)" if dates else ""
    rows, (train, valid, test) = facts["rows"], facts["links"]
    seen, new = facts["seen before"], facts["new nodes"]
    alone = facts["links of nodes without training links"]
    shares = ", ".join(f"{count:,} ({count / sum(rows):.1%})" for count in rows)
    lines = [
        f"split by time: validation from {facts['valid from']}, test from "
        f"{facts['test from']}{zone}; rows of train, validation, test: {shares}",
        f"links: {train:,} train, {valid:,} validation, {test:,} test; seen before and "
        f"{'dropped' if repeated == 'drop' else 'kept'}: {seen[0]:,} of validation, "
        f"{seen[1]:,} of test",
    ]
    if any(new):
        lines.append(
            f"{new[0]:,} nodes first appear in validation, {new[1]:,} in test; {alone[0]:,} "
            f"validation and {alone[1]:,} test links have a node without a training link"
        )
    return tuple(lines)
