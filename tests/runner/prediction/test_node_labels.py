from __future__ import annotations

import numpy as np
import pandas
import pytest
import torch

from runner.errors import RunnerError
from runner.prediction.node_labels import NodeLabels

NAMES = ("Ada", "Bob", "7", "Zoë")


def test_names_are_found_in_any_container_and_unknown_ones_are_minus_one():
    labels = NodeLabels(NAMES, 4)
    wanted = [3, 0, -1, 2]
    for given in (
        ["Zoë", " Ada ", "Nobody", "7"],
        np.array(["Zoë", "Ada", "Nobody", "7"], dtype=object),
        pandas.Series(["Zoë", "Ada", None, "7"]),
        pandas.Categorical(["Zoë", "Ada", "x", "7"]),
        ["Zoë", "Ada", None, 7],
    ):
        assert labels.find(given).tolist() == wanted, given
    assert labels.find([7, 8]).tolist() == [2, -1]
    assert labels.find([7.0, 7.5, float("nan")]).tolist() == [2, -1, -1]


def test_numbers_are_themselves_within_the_graph():
    labels = NodeLabels(None, 3)
    assert labels.find([0, 2, 3, -1]).tolist() == [0, 2, -1, -1]
    assert labels.find(["0", "2", "02", "x", "-1", None]).tolist() == [0, 2, -1, -1, -1, -1]
    assert labels.find([2.0, 1.5]).tolist() == [2, -1]
    assert labels.find(np.array([2, 1], dtype=np.uint8)).tolist() == [2, 1]
    assert labels.find([]).tolist() == []


def test_require_names_the_unknown_label_and_the_nearest():
    with pytest.raises(
        RunnerError, match=r"Adda \(and 1 more\): no node has this name; near are Ada"
    ):
        NodeLabels(NAMES, 4).require(["Bob", "Adda", "qqq"])
    with pytest.raises(RunnerError, match="5: no node has this number; nodes are 0 to 3"):
        NodeLabels(None, 4).require([5])


def test_the_two_kinds_of_a_bipartite_graph_may_share_names():
    labels = NodeLabels(("1", "2", "1", "3"), 4, num_sources=2)
    assert labels.find(["1", "3"], "source").tolist() == [0, -1]
    assert labels.find(["1", "3", "2"], "target").tolist() == [2, 3, -1]
    assert labels.require(["3"], "target").tolist() == [3]
    assert labels.require(["2", "3"]).tolist() == [1, 3]
    with pytest.raises(RunnerError, match="1: a source and a target have this name"):
        labels.require(["2", "1"])


def test_labels_of_numbers_and_the_sequence():
    labels = NodeLabels(NAMES, 4)
    assert labels.of(torch.tensor([2, 0])).tolist() == ["7", "Ada"]
    assert NodeLabels(None, 9).of(torch.tensor([2, 0])).tolist() == [2, 0]
    assert (len(labels), labels[1], list(labels)) == (4, "Bob", list(NAMES))
    assert list(NodeLabels(None, 3)) == [0, 1, 2]


def test_numbers_of_two_kinds_of_nodes_are_looked_up_on_their_side():
    labels = NodeLabels(None, 5, num_sources=2)
    assert labels.find([0, 2, 4], "source").tolist() == [0, -1, -1]
    assert labels.find(["0", "2", "4"], "target").tolist() == [-1, 2, 4]
    assert labels.find([0, 2, 4]).tolist() == [0, 2, 4]
    with pytest.raises(RunnerError, match="1: no target has this number; targets are 2 to 4"):
        labels.require([1], "target")


def test_names_that_are_fractions():
    assert NodeLabels(("1.5", "2"), 2).find([1.5, 2.0, float("nan")]).tolist() == [0, 1, -1]
