"""Samplers: the batches of an epoch, each with the graph that its targets may see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.keys import Before, PositiveInt
from runner.ops.csr import Graph
from runner.ops.stage import stage
from runner.training.generators import Generators
from runner.training.negatives import NegativeSampler


@dataclass(frozen=True, eq=False)
class Batch:
    """One training step: target links, as many negatives, and the graph to score both on.

    Attributes:
        whole: the graph of the training links.
        hidden: (k,) int64, entries of it that the batch may not see, both directions of each.

    Shapes:
        positives, negatives: (2, B) int64.
    """

    whole: Graph
    positives: Tensor
    negatives: Tensor
    hidden: Tensor | None = None

    @cached_property
    def graph(self) -> Graph:
        """The graph that the batch may see."""
        if self.hidden is None:
            return self.whole
        with stage("graph without the targets"):
            return self.whole.keep(self.kept, symmetric=True)

    @cached_property
    def kept(self) -> Tensor:
        """(E,) bool: the entries of the whole graph that the batch may see."""
        kept = torch.ones_like(self.whole.col, dtype=torch.bool)
        if self.hidden is not None:
            kept[self.hidden] = False
        return kept


class LinkSampler:
    """The batches of an epoch. A subclass says which links of the graph a batch may not see.

    Args:
        batch_size: target links a batch; None follows the number of targets.
        drop_last: leave out the last, short batch, as the release does.
        graph: the training graph.
        targets: (2, M) int64, the training links as rows; duplicates stay separate targets.
        negatives: draws the epoch's negatives.
        generators: order of the targets, and negatives.

    Raises:
        RunnerError: if an epoch would hold no batch.
    """

    removes_targets: ClassVar[bool] = False
    """Whether a batch sees none of its own targets, in either direction."""
    draws: ClassVar[bool] = True
    """Whether its batches hold links."""

    def __init__(
        self,
        *,
        batch_size: PositiveInt | None,
        drop_last: Annotated[bool, Before(True)] = True,
        graph: Graph,
        targets: Tensor,
        negatives: NegativeSampler,
        generators: Generators,
    ) -> None:
        count = targets.shape[1]
        if batch_size is not None and batch_size > count and drop_last:
            raise RunnerError(
                f"train.batch_size={batch_size}: the training set has only {count} target links, "
                f"so an epoch would train on nothing; give at most {count}"
            )
        self.batch_size = batch_size or default_batch_size(count)
        self.drop_last = drop_last
        self.graph = graph
        self.targets = targets
        self.negatives = negatives
        self.generators = generators

    def __len__(self) -> int:
        """Batches an epoch."""
        whole, left = divmod(self.targets.shape[1], self.batch_size)
        return whole + bool(left and not self.drop_last)

    def epoch(self, skip: int = 0) -> Iterator[Batch]:
        """Draw an epoch's order and negatives, then yield its batches from number `skip` on."""
        with stage("order and negatives of an epoch"):
            order = torch.randperm(self.targets.shape[1], generator=self.generators.batches)
            drawn = self.negatives.epoch(self.graph, self.targets, self.generators.negatives)
        for number in range(skip, len(self)):
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            rows = rows.to(self.targets.device)
            negatives = drawn[:, rows].flatten(1)
            yield Batch(self.graph, self.targets[:, rows], negatives, self.hidden_entries(rows))

    def hidden_entries(self, rows: Tensor) -> Tensor | None:
        """Entries of the graph that a batch with these target rows may not see, (k,) int64."""
        raise NotImplementedError


class FullGraph(LinkSampler):
    """Every batch sees the whole training graph, its own targets included (the ablation)."""

    def hidden_entries(self, rows: Tensor) -> None:
        return None


class TargetLinkRemoval(LinkSampler):
    """The batch's graph lacks exactly the batch's links (target-link removal, arXiv 2302.00890).

    Both directions of every link go, and with them every duplicate of a target, since the graph is
    simple (the release removes the batch's rows alone, so that on ogbl-collab another year's copy
    survives). Where the links stand in the graph is looked up once; a batch costs one mask.
    """

    removes_targets = True

    @cached_property
    def _entries(self) -> Tensor:
        """(2, M) int64: where each target stands in the graph, in both directions; -1 nowhere."""
        graph, targets = self.graph, self.targets
        return torch.stack([graph.find(targets), graph.find(targets.flip(0))])

    def hidden_entries(self, rows: Tensor) -> Tensor:
        entries = self._entries[:, rows]
        return entries[entries >= 0]


class NoLinks(LinkSampler):
    """One batch an epoch, without links, on the whole training graph: nothing is drawn."""

    draws = False

    def __len__(self) -> int:
        return 1

    def epoch(self, skip: int = 0) -> Iterator[Batch]:
        if not skip:
            none = self.targets[:, :0]
            yield Batch(self.graph, none, none)


def default_batch_size(num_targets: int) -> int:
    """The power of two that makes an epoch of 8 to 16 steps, at most 65,536.

    Raises:
        RunnerError: if there are no training links.
    """
    if num_targets < 1:
        raise RunnerError("the training set has no links: give a graph with more edges")
    return min(65_536, 2 ** max(0, (num_targets // 8).bit_length() - 1))
