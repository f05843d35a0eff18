"""A semi-inductive split: nodes are held out, and come with a few links."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.data.splits import (
    collect_non_links,
    directions,
    refuse_too_few,
    require_training_share,
)
from runner.data.whole_graph import LinkSplit, Split, WholeGraph
from runner.errors import RunnerError
from runner.keys import Multiple, PositiveInt, RunSeed, Share

_TRAIN, _VALID, _TEST = range(3)
_WORDS = {_VALID: "validation", _TEST: "test"}


class NewNodes(LinkSplit):
    """Holds out nodes with all their links, which training does not see.

    K-shot, as Baek et al. (2020, arXiv 2006.06648): of each held-out node K links, drawn at random,
    are support, which the model sees from the evaluation of its part on; the others are scored. A
    link of two held-out nodes may be support of either. A link of a validation and a test node
    belongs to the test. A node of at most K links has no scored one.

    Negatives are drawn uniformly from the pairs of which at least one node is held out for the part
    and that are no link of the whole graph; those of validation among the nodes that are no test
    nodes.

    Args:
        valid, test: shares of the nodes that have a link.
        support: K.
        seed: of the split's own generator.
        valid_negatives, test_negatives: negatives a positive.
    """

    def __init__(
        self,
        *,
        valid: Share,
        test: Share,
        support: PositiveInt,
        seed: RunSeed,
        valid_negatives: Multiple,
        test_negatives: Multiple,
    ) -> None:
        require_training_share(valid, test, "nodes to train with")
        self.shares = {_VALID: valid, _TEST: test}
        self.support = support
        self.seed = seed
        self.negatives = {_VALID: valid_negatives, _TEST: test_negatives}

    def split(self, whole: WholeGraph) -> Split:
        generator = torch.Generator().manual_seed(self.seed)
        part_of, held_out = self._hold_out(whole, generator)
        edges = whole.edges
        edges = edges[:, torch.randperm(edges.shape[1], generator=generator)]
        part_of_edge = part_of[edges].amax(0)
        train = directions(whole, edges[:, part_of_edge == _TRAIN])
        if not train.shape[1]:
            raise RunnerError(
                "protocol.split: each link has a held-out node, and none is left to train with; "
                "lower the shares of validation and test"
            )
        supports, scored = {}, {}
        unscored = 0
        for part in (_VALID, _TEST):
            mine, new = edges[:, part_of_edge == part], part_of == part
            is_support = _is_among_first(mine, new, self.support)
            supports[part] = directions(whole, mine[:, is_support])
            positive = directions(whole, mine[:, ~is_support])
            if not positive.shape[1]:
                raise RunnerError(
                    f"protocol.split.support={self.support}: none of the {held_out[part]} nodes "
                    f"held out for the {_WORDS[part]} has more links; lower it, or raise the share "
                    f"of nodes (protocol.split.{'valid' if part == _VALID else 'test'})"
                )
            unscored += held_out[part] - int(new[positive.unique()].sum())
            wanted = max(1, round(positive.shape[1] * self.negatives[part]))
            negative = _draw_negatives(whole, part_of, part, wanted, mine, generator)
            scored[part] = EvaluationSplit(positive, negative)
        return Split(
            train,
            scored[_VALID],
            scored[_TEST],
            valid_support=supports[_VALID],
            test_support=supports[_TEST],
            nodes_arrive=True,
            notes=tuple(self._words(held_out, supports, unscored)),
            facts={
                "held-out nodes": {"validation": held_out[_VALID], "test": held_out[_TEST]},
                "held-out nodes without a scored link": unscored,
            },
        )

    def _hold_out(
        self, whole: WholeGraph, generator: torch.Generator
    ) -> tuple[Tensor, dict[int, int]]:
        """The part of each node, (N,) int64, and the number of those held out for each part."""
        nodes = whole.graph.degree().nonzero().squeeze(1)
        nodes = nodes[torch.randperm(len(nodes), generator=generator)]
        held_out = {part: int(len(nodes) * share) for part, share in self.shares.items()}
        if min(held_out.values()) < 1:
            raise RunnerError(
                f"the graph has {len(nodes)} nodes with links, too few to hold out shares of "
                f"{self.shares[_VALID]:g} and {self.shares[_TEST]:g}; bring a larger graph, or "
                "raise protocol.split.valid and .test"
            )
        part_of = torch.full((whole.num_nodes,), _TRAIN)
        part_of[nodes[: held_out[_VALID]]] = _VALID
        part_of[nodes[held_out[_VALID] :][: held_out[_TEST]]] = _TEST
        return part_of, held_out

    def _words(
        self, held_out: dict[int, int], supports: dict[int, Tensor], unscored: int
    ) -> list[str]:
        lines = [
            f"held out {held_out[part]} nodes for the {word}, with {supports[part].shape[1]} "
            "support links"
            for part, word in _WORDS.items()
        ]
        if unscored:
            lines.append(
                f"{unscored} held-out nodes have too few links (protocol.split.support="
                f"{self.support}): none of theirs is scored"
            )
        return lines


def _is_among_first(edges: Tensor, new: Tensor, count: int) -> Tensor:
    """Whether an edge, of (2, M) int64, is one of the first of a new end of its, (M,) bool."""
    ends = edges.T.reshape(-1)
    order = ends.argsort(stable=True)
    degree = ends.bincount(minlength=len(new))
    rank = torch.empty_like(ends)
    rank[order] = torch.arange(len(ends)) - (degree.cumsum(0) - degree)[ends[order]]
    return ((rank < count) & new[ends]).reshape(-1, 2).any(1)


def _draw_negatives(
    whole: WholeGraph,
    part_of: Tensor,
    part: int,
    count: int,
    edges: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Pairs of a new node of the part with a node that is there by then, (2, count) int64.

    Args:
        edges: (2, M) int64, all linked pairs of that kind.
    """
    is_new = part_of == part
    new, there = is_new.nonzero().squeeze(1), (part_of <= part).nonzero().squeeze(1)
    sources = whole.num_sources
    ordered = whole.directed and sources is None
    available = _number_of_pairs(new, there, sources) * (2 if ordered else 1)
    available -= directions(whole, edges).shape[1]
    refuse_too_few(count, f"the pairs of the {len(new)} {_WORDS[part]} nodes", available)

    def draw(wanted: int) -> Tensor:
        one = new[torch.randint(len(new), (wanted,), generator=generator)]
        other = there[torch.randint(len(there), (wanted,), generator=generator)]
        keep = ~is_new[other] | (one < other)  # two new nodes are drawn in either order
        if sources is not None:
            keep &= (one < sources) != (other < sources)
        pairs = torch.stack([one, other])[:, keep]
        if not ordered:
            return pairs.sort(dim=0).values
        turned = torch.rand(pairs.shape[1], generator=generator) < 0.5
        return torch.where(turned, pairs.flip(0), pairs)

    return collect_non_links(whole, count, draw)


def _number_of_pairs(new: Tensor, there: Tensor, sources: int | None) -> int:
    """Of a new node with another that is there, each counted once."""
    if sources is None:
        return len(new) * (len(there) - len(new)) + len(new) * (len(new) - 1) // 2
    new_sources, all_sources = (int((nodes < sources).sum()) for nodes in (new, there))
    new_targets, all_targets = len(new) - new_sources, len(there) - all_sources
    return new_sources * all_targets + new_targets * all_sources - new_sources * new_targets
