"""What training, validation and the test see of a graph."""

from itertools import pairwise

import pytest
import torch

from runner.data.link_data import EvaluationSplit, link_data
from runner.experiment.graphs import build_graphs, move_graphs, words_of_test_graph


def links(*pairs):
    return torch.tensor(pairs).T


def data(**support):
    return link_data(
        num_nodes=8,
        features=None,
        train=links((0, 1)),
        valid=EvaluationSplit(links((2, 3)), links((0, 7))),
        test=EvaluationSplit(links((4, 5)), links((1, 7))),
        **support,
    )


SUPPORT = {"valid_support": links((2, 1)), "test_support": links((5, 0), (6, 7))}
FIRST, VALID, TEST = {(0, 1)}, {(0, 1), (1, 2)}, {(0, 1), (1, 2), (0, 5), (6, 7)}


@pytest.mark.parametrize(
    ("support", "validation_edges", "expected", "words"),
    [
        ([], False, (FIRST, FIRST, FIRST), "training edges"),
        ([], True, (FIRST, FIRST, FIRST | {(2, 3)}), "training and validation edges"),
        (SUPPORT, False, (FIRST, VALID, TEST), "training and support edges"),
        (SUPPORT, True, (FIRST, VALID, TEST | {(2, 3)}), "training, validation and support edges"),
        (["valid_support"], False, (FIRST, VALID, VALID), "training and support edges"),
        (["test_support"], False, (FIRST, FIRST, TEST - {(1, 2)}), "training and support edges"),
    ],
)
def test_the_links_of_each_graph(support, validation_edges, expected, words):
    found = data(**{name: SUPPORT[name] for name in support})
    graphs = build_graphs(found, validation_edges=validation_edges)
    for graph, wanted in zip(graphs, expected, strict=True):
        both = torch.stack([graph.row, graph.col.long()]).T.tolist()
        assert {(u, v) for u, v in both if u < v} == wanted
    same = [one is other for one, other in pairwise(graphs)]
    assert same == [one == other for one, other in pairwise(expected)]
    moved = move_graphs(graphs, torch.device("meta"))
    assert [one is other for one, other in pairwise(moved)] == same
    assert words_of_test_graph(found, validation_edges=validation_edges) == words
