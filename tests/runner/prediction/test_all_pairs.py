from __future__ import annotations

import itertools

import pytest
import torch

from runner.prediction.all_pairs import AllPairs, pairs_with

NODES = torch.tensor([1, 2, 4, 5, 8])
AMONG = NODES.tolist()
CASES = {
    "undirected": ({"directed": False}, list(itertools.combinations(AMONG, 2))),
    "directed": ({"directed": True}, list(itertools.permutations(AMONG, 2))),
    "bipartite": (
        {"directed": True, "num_sources": 4},
        list(itertools.product([1, 2], [4, 5, 8])),
    ),
}


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(("kind", "expected"), CASES.values(), ids=CASES)
def test_every_pair_once_in_order(kind, expected, size):
    pairs = AllPairs(NODES, 9, **kind)
    assert len(pairs) == len(expected)
    blocks = [pairs.block(begin, begin + size) for begin in range(0, len(pairs), size)]
    assert [tuple(pair) for pair in torch.cat(blocks, dim=1).T.tolist()] == sorted(expected)


@pytest.mark.parametrize(("kind", "expected"), CASES.values(), ids=CASES)
def test_given_pairs_are_put_in_order(kind, expected):
    given = torch.tensor([[8, 1, 1, 3, 4], [1, 8, 4, 1, 4]])  # 3 is none of the nodes
    has = {(1, 4), (1, 8)}
    if kind["directed"] and "num_sources" not in kind:
        has |= {(4, 1), (8, 1)}
    found = AllPairs(NODES, 9, **kind).of(given)
    assert [tuple(pair) for pair in found.T.tolist()] == sorted(has)


@pytest.mark.parametrize("nodes", [[], [3]])
@pytest.mark.parametrize("kind", [kind for kind, _ in CASES.values()], ids=CASES)
def test_too_few_nodes_make_no_pair(kind, nodes):
    assert len(AllPairs(torch.tensor(nodes, dtype=torch.int64), 9, **kind)) == 0


def test_all_pairs_of_a_node():
    assert pairs_with(1, 4).tolist() == [[1, 1, 1], [0, 2, 3]]
    assert pairs_with(1, 4, num_sources=2).tolist() == [[1, 1], [2, 3]]
    assert pairs_with(3, 4, num_sources=2).tolist() == [[0, 1], [3, 3]]
