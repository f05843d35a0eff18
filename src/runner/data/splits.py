"""Random splits of a graph's links, with their negatives."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.data.whole_graph import LinkSplit, Split, WholeGraph
from runner.errors import RunnerError
from runner.keys import Multiple, RunSeed, Share
from runner.ops.pairs import draw_pairs


class RandomSplit(LinkSplit):
    """A random permutation of the linked pairs, cut into train, validation and test.

    Negatives are drawn once a split, uniformly from the pairs that are no link of the whole graph:
    unordered ones, of a directed graph ordered ones, of a bipartite graph a source and a target.
    Of a directed graph both directions of a pair stay in one part, since message passing sees both.
    The published release draws as many test negatives as test positives and twice as many
    validation negatives as validation positives.

    Args:
        valid, test: shares of the edges.
        seed: of the split's own generator.
        valid_negatives, test_negatives: negatives a positive.
    """

    def __init__(
        self,
        *,
        valid: Share,
        test: Share,
        seed: RunSeed,
        valid_negatives: Multiple,
        test_negatives: Multiple,
    ) -> None:
        require_training_share(valid, test, "training edges")
        self.valid = valid
        self.test = test
        self.seed = seed
        self.valid_negatives = valid_negatives
        self.test_negatives = test_negatives

    def split(self, whole: WholeGraph) -> Split:
        edges = whole.edges
        count = edges.shape[1]
        num_valid, num_test = int(count * self.valid), int(count * self.test)
        if num_valid < 1 or num_test < 1:
            raise RunnerError(
                f"the graph has {count} edges, too few to split: shares of {self.valid:g} and "
                f"{self.test:g} give {num_valid} validation and {num_test} test edges; bring a "
                "larger graph, or raise protocol.split.valid and .test"
            )
        generator = torch.Generator().manual_seed(self.seed)
        edges = edges[:, torch.randperm(count, generator=generator)]
        parts = edges.split([num_valid, num_test, count - num_valid - num_test], dim=1)
        valid, test, train = (directions(whole, part) for part in parts)
        wanted = [
            max(1, round(part.shape[1] * times))
            for part, times in ((valid, self.valid_negatives), (test, self.test_negatives))
        ]
        negatives = sample_non_links(whole, sum(wanted), generator).split(wanted, dim=1)
        return Split(
            train, EvaluationSplit(valid, negatives[0]), EvaluationSplit(test, negatives[1])
        )


def require_training_share(valid: float, test: float, rest: str) -> None:
    """Refuse shares of validation and test that leave nothing.

    Raises:
        RunnerError: naming both keys.
    """
    if valid + test >= 1:
        raise RunnerError(
            f"protocol.split: valid={valid} and test={test} leave no {rest}; "
            "give shares that sum to less than 1"
        )


def directions(whole: WholeGraph, edges: Tensor) -> Tensor:
    """The links between some linked pairs, (2, M) int64: one of each, or its directed ones."""
    if whole.ordered is None:
        return edges
    both = torch.stack([edges, edges.flip(0)], dim=2).reshape(2, -1)
    return both[:, whole.has(both)]


def sample_non_links(
    whole: WholeGraph, count: int, generator: torch.Generator, nodes: Tensor | None = None
) -> Tensor:
    """Distinct pairs of different nodes that are no links, (2, count) int64, in random order.

    Pairs are unordered (lower id first), of a directed graph ordered; of a bipartite graph a source
    and a target.

    Args:
        nodes: (K,) int64, ascending, to draw from: those of all links at least; None for all.

    Raises:
        RunnerError: if the graph has fewer than twice as many.
    """
    n, sources = whole.num_nodes, whole.num_sources
    if nodes is not None:
        n = nodes.numel()
        sources = sources and int((nodes < sources).sum())
    if sources is not None:
        possible = sources * (n - sources)
    else:
        possible = n * (n - 1) // (1 if whole.directed else 2)
    links = whole.num_links
    refuse_too_few(count, f"{n} nodes with {links} edges", possible - links)

    def draw(k: int) -> Tensor:
        pairs = draw_pairs(n, k, generator, sources)
        return pairs if nodes is None else nodes[pairs]

    return collect_non_links(whole, count, draw)


def refuse_too_few(count: int, among: str, available: int) -> None:
    """Refuse to draw more negatives than half of those that there are.

    Raises:
        RunnerError: naming the keys that lower the number.
    """
    if available < 2 * count:
        raise RunnerError(
            f"{count} negatives are wanted, but {among} "
            f"leave only {available} pairs without an edge; lower protocol.split.*_negatives "
            "or the shares of validation and test"
        )


def collect_non_links(whole: WholeGraph, count: int, draw: Callable[[int], Tensor]) -> Tensor:
    """The first distinct pairs of different nodes that are no links, (2, count) int64.

    Args:
        draw: gives about so many pairs, (2, k) int64; those of an undirected graph in any order.
    """
    n = whole.num_nodes
    found = torch.empty(0, dtype=torch.int64)
    while found.numel() < count:
        pairs = draw(count + 16)
        if not whole.directed:
            pairs = pairs.sort(dim=0).values
        pairs = pairs[:, (pairs[0] != pairs[1]) & ~whole.has(pairs)]
        found = _distinct(torch.cat([found, pairs[0] * n + pairs[1]]))
    kept = found[:count]
    return torch.stack([kept // n, kept % n])


def _distinct(keys: Tensor) -> Tensor:
    """The keys without later repeats, in the order of their first occurrence."""
    unique, index = torch.unique(keys, return_inverse=True)
    first = torch.full_like(unique, keys.numel()).scatter_reduce(
        0, index, torch.arange(keys.numel()), reduce="amin"
    )
    return keys[first.sort().values]
