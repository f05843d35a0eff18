"""Random splits of an undirected graph's edges, with their negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.errors import RunnerError
from runner.keys import Multiple, RunSeed, Share
from runner.ops.csr import Graph


class RandomSplit:
    """A random permutation of the undirected edges, cut into train, validation and test.

    Negatives are drawn once a split, uniformly from the pairs that are no edge of the full graph.
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
        if valid + test >= 1:
            raise RunnerError(
                f"protocol.split: valid={valid} and test={test} leave no training edges; "
                "give shares that sum to less than 1"
            )
        self.valid = valid
        self.test = test
        self.seed = seed
        self.valid_negatives = valid_negatives
        self.test_negatives = test_negatives

    def split(
        self, edges: Tensor, num_nodes: int
    ) -> tuple[Tensor, EvaluationSplit, EvaluationSplit]:
        """Split edges, (2, M) int64 in any direction, repeats and self-loops ignored.

        Returns:
            Training edges (2, M'), one direction each, validation and test.

        Raises:
            RunnerError: if a part would be empty, or the graph is too dense for its negatives.
        """
        graph = Graph.from_edges(edges, num_nodes)
        once = graph.row < graph.col
        links = torch.stack([graph.row[once], graph.col[once].long()])
        count = links.shape[1]
        num_valid, num_test = int(count * self.valid), int(count * self.test)
        if num_valid < 1 or num_test < 1:
            raise RunnerError(
                f"the graph has {count} edges, too few to split: shares of {self.valid:g} and "
                f"{self.test:g} give {num_valid} validation and {num_test} test edges; bring a "
                "larger graph, or raise protocol.split.valid and .test"
            )
        generator = torch.Generator().manual_seed(self.seed)
        links = links[:, torch.randperm(count, generator=generator)]
        valid, test = links[:, :num_valid], links[:, num_valid : num_valid + num_test]
        wanted_valid = max(1, round(num_valid * self.valid_negatives))
        wanted_test = max(1, round(num_test * self.test_negatives))
        negatives = sample_non_edges(graph, wanted_valid + wanted_test, generator)
        return (
            links[:, num_valid + num_test :],
            EvaluationSplit(valid, negatives[:, :wanted_valid]),
            EvaluationSplit(test, negatives[:, wanted_valid:]),
        )


def sample_non_edges(graph: Graph, count: int, generator: torch.Generator) -> Tensor:
    """Distinct unordered pairs of different nodes that are no edges, (2, count), in random order.

    Raises:
        RunnerError: if the graph has fewer than twice as many non-edges.
    """
    n = graph.num_nodes
    available = n * (n - 1) // 2 - graph.num_entries // 2
    if available < 2 * count:
        raise RunnerError(
            f"{count} negatives are wanted, but {n} nodes with {graph.num_entries // 2} edges "
            f"leave only {available} pairs without an edge; lower protocol.split.*_negatives "
            "or the shares of validation and test"
        )
    found = torch.empty(0, dtype=torch.int64)
    while found.numel() < count:
        drawn = torch.randint(n, (2, count + 16), generator=generator)
        pairs = drawn.sort(dim=0).values
        pairs = pairs[:, (pairs[0] != pairs[1]) & (graph.find(pairs) < 0)]
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
