from __future__ import annotations

import os

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from runner.data.mat_graph import mat_graph
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)


def count(data):
    return sum(part.shape[1] for part in data.links.values())


def test_simple_and_undirected_without_features(tmp_path):
    """Both directions, one alone, a loop and a weight of three; a node without links stays."""
    dense = np.zeros((40, 40))
    dense[np.arange(30), np.arange(1, 31)] = 3
    dense[np.arange(1, 21), np.arange(20)] = 1
    dense[5, 5] = 1
    (tmp_path / "mat").mkdir()
    scipy.io.savemat(tmp_path / "mat" / "NS.mat", {"net": scipy.sparse.csc_array(dense)})
    data = mat_graph(name="NS", root=str(tmp_path), cache=str(tmp_path / "cache"), split=SPLIT)
    assert (data.num_nodes, count(data), data.num_categories) == (40, 30, 40)
    assert not data.directed


def test_a_missing_file(tmp_path):
    with pytest.raises(RunnerError, match=r"dataset.root=.*mat/USAir.mat; put it there"):
        mat_graph(name="USAir", root=str(tmp_path), cache=str(tmp_path), split=SPLIT)


@pytest.mark.parametrize(
    ("name", "nodes", "links"),
    [
        ("USAir", 332, 2126), ("NS", 1589, 2742), ("Celegans", 297, 2148),
        ("facebook", 4039, 88234),
    ],
)  # fmt: skip
def test_the_real_ones(tmp_path, name, nodes, links):
    root = os.environ.get("RUNNER_DATA")
    if not root:
        pytest.skip(f"RUNNER_DATA does not name the folder of mat/{name}.mat")
    data = mat_graph(name=name, root=root, cache=str(tmp_path), split=SPLIT)
    assert (data.num_nodes, count(data)) == (nodes, links)
