"""Where the links of a node stand among all nodes that it could be linked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from runner.data.candidates import Candidates
from runner.data.link_data import EvaluationSplit
from runner.training.metrics import Metric, NotANumber

_MOST_SCORES = 20_000_000  # of a split, for "auto"
_BLOCK = 2**22  # scores held at a time
_SEED = 0  # of the nodes that are drawn: the same in every epoch and every repeat


@dataclass(frozen=True, eq=False)
class Places:
    """Where the links of the ranked nodes stand among the candidates.

    Shapes:
        - ``nodes``: (Q,) int64, the ranked nodes, ascending; each has a link
        - ``query``: (R,) int64, of every link the position of its node in ``nodes``
        - ``above``, ``tied``: (R,) int64, candidates with a higher and with the same score, the
          link itself among the latter
    """

    nodes: Tensor
    query: Tensor
    above: Tensor
    tied: Tensor

    @cached_property
    def links(self) -> Tensor:
        """Number of links of every ranked node, (Q,) int64."""
        return torch.bincount(self.query, minlength=self.nodes.numel())

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the links of every ranked node, (Q,) float64, of ``values``, (R,)."""
        return torch.zeros(self.nodes.numel(), dtype=torch.float64).index_add_(
            0, self.query, values.double()
        )


class NodeMetric(Metric):
    """How well the links of a node stand among all nodes: the mean over nodes with a link.

    Among equal scores every order is as likely, and a metric is its expected value.
    """

    negatives = 0

    def __call__(self, positive: Tensor, negative: Tensor) -> float:
        raise TypeError(f"{self.name} ranks nodes, and not pairs: call of_nodes")

    def of_nodes(self, places: Places) -> Tensor:
        """The metric of every ranked node, (Q,) float64."""
        raise NotImplementedError


def queries(split: EvaluationSplit, wanted: int | Literal["auto", "all"]) -> tuple[Tensor, int]:
    """The nodes to rank, (Q,) int64, and how many have a link.

    Args:
        wanted: how many at most, drawn with a fixed seed; "auto" keeps the number of scores below
            20 millions.
    """
    among = candidates_of(split)
    nodes = (among.keys(split.positive) // among.num_nodes).unique()
    most = max(1, _MOST_SCORES // among.num_nodes) if wanted == "auto" else wanted
    if most == "all" or nodes.numel() <= most:
        return nodes, nodes.numel()
    drawn = torch.randperm(nodes.numel(), generator=torch.Generator().manual_seed(_SEED))
    return nodes[drawn[:most]].sort().values, nodes.numel()


def rank_links(score: Callable[[Tensor], Tensor], split: EvaluationSplit, nodes: Tensor) -> Places:
    """Rank the links of ``nodes``, (Q,) int64 ascending, among all candidates.

    Links that are known already are no candidates, unless they are among those to be found.

    Args:
        score: scores, (P,) on the CPU, of pairs, (2, P) int64.

    Raises:
        NotANumber: if a score is NaN.
    """
    among = candidates_of(split)
    sought = _select_keys(among.keys(split.positive), nodes, among.num_nodes)
    known = _select_keys(among.keys(among.known), nodes, among.num_nodes)
    known = known[~torch.isin(known, sought)]
    found = []
    for side, first, end, flipped in among.sides(nodes):
        for block in side.split(max(1, _BLOCK // max(1, end - first))) if len(side) else ():
            pairs = torch.stack(
                [
                    block.repeat_interleave(end - first),
                    torch.arange(first, end).repeat(block.numel()),
                ]
            )
            scores = score(pairs.flip(0) if flipped else pairs).view(block.numel(), -1)
            if scores.isnan().any():
                raise NotANumber("some scores are not numbers (NaN)")
            where = [
                _place_in_block(keys, block, among.num_nodes, first) for keys in (sought, known)
            ]
            found.append(_place_links(scores, block - first, *where))
    above, tied = torch.cat(found, dim=1)
    return Places(nodes, torch.searchsorted(nodes, sought // among.num_nodes), above, tied)


def candidates_of(split: EvaluationSplit) -> Candidates:
    """The candidates of a split.

    Raises:
        ValueError: if it says none.
    """
    if split.candidates is None:
        raise ValueError("ranking nodes takes a split with candidates: those of LinkData.judged")
    return split.candidates


def _select_keys(keys: Tensor, nodes: Tensor, num_nodes: int) -> Tensor:
    return keys[torch.isin(keys // num_nodes, nodes)]


def _place_in_block(
    keys: Tensor, block: Tensor, num_nodes: int, first: int
) -> tuple[Tensor, Tensor]:
    """Row in a block of nodes, and column from ``first`` on, of the keys of these nodes."""
    bounds = torch.tensor([int(block[0]), int(block[-1]) + 1]) * num_nodes
    begin, end = torch.searchsorted(keys, bounds).tolist()
    mine = keys[begin:end]
    return torch.searchsorted(block, mine // num_nodes), mine % num_nodes - first


def _place_links(
    scores: Tensor,
    itself: Tensor,
    sought: tuple[Tensor, Tensor],
    known: tuple[Tensor, Tensor],
) -> Tensor:
    """Candidates above and tied with every link that is sought, (2, R) int64.

    Shapes:
        - ``scores``: (B, C)
        - ``itself``: (B,) int64, the column of the node itself, where there is one
        - ``sought``, ``known``: rows and columns
    """
    lowest = -torch.inf
    values = scores[sought]
    out = torch.zeros_like(scores, dtype=torch.bool)
    out[known] = True
    inside = (itself >= 0) & (itself < scores.size(1))
    out[inside.nonzero().squeeze(1), itself[inside]] = True
    ascending = scores.masked_fill(out, lowest).sort(dim=1).values
    # searchsorted wants as many values in each row.
    slot = torch.arange(values.numel()) - torch.searchsorted(sought[0], sought[0])
    asked = scores.new_zeros(scores.size(0), int(slot.max()) + 1)
    asked[sought[0], slot] = values
    above, not_below = (
        scores.size(1) - torch.searchsorted(ascending, asked, right=right)[sought[0], slot]
        for right in (True, False)
    )
    # Those that are left out count as lowest, and so do candidates that a model gives -inf.
    not_below -= out.sum(dim=1)[sought[0]] * (values == lowest)
    return torch.stack([above, not_below - above])
