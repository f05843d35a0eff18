from __future__ import annotations

import numpy as np
import pandas
import pytest
import torch

from runner.errors import RunnerError
from runner.prediction.node_labels import NodeLabels
from runner.prediction.pairs import read_pairs

LABELS = NodeLabels(("a", "b", "c"), 3)


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b"), ["c", "a"]],
        np.array([["a", "b"], ["c", "a"]]),
        pandas.DataFrame({"weight": [1, 2], "to": ["b", "a"], "from": ["a", "c"]}),
        pandas.DataFrame([["a", "b"], ["c", "a"]]),
    ],
)
def test_pairs_in_every_form(pairs):
    assert read_pairs(pairs, LABELS).tolist() == [[0, 2], [1, 0]]


def test_numbers():
    numbers = NodeLabels(None, 9)
    wanted = [[0, 5], [8, 1]]
    for pairs in (np.array(wanted).T, torch.tensor(wanted).T, [(0, 8), (5, 1)], {(0, 8): 1}.keys()):
        found = read_pairs(pairs, numbers)
        assert found.dtype == torch.int64
        assert found.tolist()[0][0] == 0
    assert read_pairs(np.array(wanted).T, numbers).tolist() == wanted
    assert read_pairs([], numbers).shape == (2, 0)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (3, "not every row has two nodes"),
        (["ab", "ca"], "not every row has two nodes"),
        ([("a", "b", "c")], "not every row has two nodes"),
        (np.zeros((2, 5)), r"an array of shape \(2, 5\); transpose it"),
        (np.zeros((5, 3)), r"an array of shape \(5, 3\); give"),
        (pandas.DataFrame({"p": [1], "q": [2], "r": [3]}), "which of the columns p, q, r"),
        ([("a", "bb")], "bb: no node has this name"),
    ],
)
def test_other_forms_are_refused(pairs, message):
    with pytest.raises(RunnerError, match=message):
        read_pairs(pairs, LABELS)
