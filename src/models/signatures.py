"""Signatures: a nearly orthogonal vector for every node, drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.keys import InConfig, PositiveInt, RunSeed, Width
from runner.models.seeded import SeededModule
from runner.ops.signatures import random_signs

_COLUMNS = 256  # at a time: memory is that of so many numbers a node
_RANDOM = 64  # random columns that hubs leave at least, as in the release
_MOST_NODES = 100_000  # with a column for each


class Signatures(SeededModule):
    """Draws the signatures of nodes, some columns at a time.

    Entries are ±1/√F, drawn anew in every training step, and always the same in evaluation, where
    a score is to be the same twice. The processes of a run draw alike.

    Args:
        kind: "bipolar"; "onehot" gives every node a column of its own: all counts are exact, in
            time that grows with nodes times links.
        width: F, columns.
        hubs_from: nodes with at least so many neighbours, whose noise is the loudest, have columns
            of their own; None for none.
        seed: of the generator of training's draws, and of evaluation's.

    Attributes:
        given: (N, F), taken instead of a draw, as the signatures that a release has drawn.

    Raises:
        ValueError: if one-hot signatures are given a number of hubs, or the kind is unknown.
    """

    alike = True

    def __init__(
        self,
        *,
        kind: InConfig[Literal["bipolar", "onehot"]] = "bipolar",
        width: InConfig[Width] = 1024,
        hubs_from: InConfig[PositiveInt | None] = None,
        seed: InConfig[RunSeed] = 0,
    ) -> None:
        super().__init__(seed)
        if kind not in ("bipolar", "onehot"):
            raise ValueError(f'kind must be "bipolar" or "onehot"; got {kind!r}')
        if kind == "onehot" and hubs_from is not None:
            raise ValueError(
                f"hubs_from={hubs_from} has no effect: with kind=onehot every node has a column "
                "of its own; leave it out"
            )
        self.kind = kind
        self.width = width
        self.hubs_from = hubs_from
        self.seed = seed
        self.given: Tensor | None = None

    def draw(self) -> int:
        """The seed of a draw: a new one in training, else always the same."""
        if not self.training:
            return self.seed
        return int(torch.randint(2**62, (), generator=self.generator))

    def hubs(self, degree: Tensor) -> Tensor:
        """Which nodes have a column of their own, (N,) bool.

        Raises:
            RunnerError: if they are too many, or leave too few columns for the others.
        """
        if self.kind == "onehot":
            if degree.numel() > _MOST_NODES:
                raise RunnerError(
                    f"model.signatures.kind=onehot: of {degree.numel():,} nodes each would have a "
                    f"column; that is for up to {_MOST_NODES:,}, take bipolar"
                )
            return torch.ones_like(degree, dtype=torch.bool)
        if self.hubs_from is None or self.given is not None:
            return torch.zeros_like(degree, dtype=torch.bool)
        hubs = degree >= self.hubs_from
        count = int(hubs.sum())
        if count + _RANDOM > self.width:
            raise RunnerError(
                f"model.signatures.hubs_from={self.hubs_from}: {count:,} nodes have so many "
                f"neighbours, and of model.signatures.width={self.width} columns {_RANDOM} are to "
                "stay random; raise either"
            )
        return hubs

    def columns(
        self, draw: int, ids: Tensor, hubs: Tensor, random: int
    ) -> Iterator[tuple[Tensor, float]]:
        """Some columns after others, and what an inner product of them is multiplied by.

        Args:
            draw: of :meth:`draw`.
            ids: (n,) int64, of the nodes in the whole graph.
            hubs: those of the n that have a column of their own.
            random: columns without a hub.

        Returns:
            (n, c), integers, or given signatures.
        """
        if self.given is not None:
            for part in self.given[ids].split(_COLUMNS, dim=1):
                yield part, 1.0
            return
        for own in hubs.split(_COLUMNS):
            x = torch.zeros(ids.numel(), own.numel(), dtype=torch.int8, device=ids.device)
            x[own, torch.arange(own.numel(), device=ids.device)] = 1
            yield x, 1.0
        if self.kind == "onehot":
            return
        for first in range(0, random, _COLUMNS):
            x = random_signs(draw, ids, first, min(_COLUMNS, random - first))
            x[hubs] = 0
            yield x, 1 / random
