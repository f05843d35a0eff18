"""Features by the split: what training must not know of changes none of its features."""

import numpy as np
import pytest
import torch

from runner.data.edges import edge_file
from runner.data.node_split import NewNodes
from runner.data.splits import RandomSplit
from runner.data.standardise import binned_over, fill_missing, standardise_over

NODES = 60
PAIRS = torch.combinations(torch.arange(NODES)).tolist()
EDGES = [pair for pair in PAIRS if (pair[0] * 31 + pair[1] * 17) % 23 < 3]
NEW = NewNodes(
    valid=0.1, test=0.1, support=2, seed=0, valid_negatives=1.0, test_negatives=1.0
)  # fmt: skip
RANDOM = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)


def test_as_numpy_does_it():
    values = np.random.default_rng(0).normal(3, 2, (9, 3)).astype(np.float32)
    values[4, 0] = values[5, 1] = np.nan
    values[:, 2] = 7
    absent = torch.tensor([1, 5])
    there = np.delete(values[:, :2].astype(np.float64), [1, 5], axis=0)
    expected = (values[:, :2] - np.nanmean(there, axis=0)) / np.nanstd(there, axis=0)
    out = standardise_over(torch.from_numpy(values), (0, 1, 2), absent).numpy()
    assert np.allclose(out[:, :2], np.nan_to_num(expected), atol=1e-6)
    assert (out[:, 2] == 0).all()


def test_other_columns_stay_as_they_are():
    values = torch.tensor([[1.0, torch.nan], [3.0, 2.0], [5.0, 4.0]])
    assert torch.equal(fill_missing(values, (1,)), torch.tensor([[1.0, 0], [3, 2], [5, 4]]))
    assert torch.equal(standardise_over(values, (1,), torch.tensor([0]))[:, 0], values[:, 0])


def test_bins_of_about_as_many_nodes():
    values = torch.tensor([[5.0, 1], [1, 1], [torch.nan, 1], [2, 1], [3, 1], [4, 1], [9, 1]])
    none = torch.tensor([], dtype=torch.int64)
    kind = torch.arange(7.0).unsqueeze(1)
    found = binned_over(torch.cat([values, kind], dim=1), (0, 1), 3, none)
    assert torch.equal(found[:, 0], kind[:, 0])
    assert found[:, 1:4].argmax(dim=1).tolist() == [2, 0, 0, 0, 1, 1, 2]
    assert found[:, 1:4].sum(dim=1).tolist() == [1, 1, 0, 1, 1, 1, 1]  # a missing one is in none
    assert bool((found[:, 4] == 1).all())  # one value, one bin
    assert found.shape == (7, 5)
    two = torch.tensor([[0.0], [0], [0], [1]])
    assert binned_over(two, (0,), 4, none).tolist() == [[1, 0], [1, 0], [1, 0], [0, 1]]


def test_bins_are_those_of_nodes_that_are_present():
    values = torch.tensor([[0.0], [1], [2], [3], [-50], [100], [200], [300]])
    found = binned_over(values, (0,), 2, torch.tensor([4, 5, 6, 7]))
    assert found.argmax(dim=1).tolist() == [0, 0, 1, 1, 0, 1, 1, 1]


@pytest.fixture
def read(tmp_path):
    """The graph with an age of each node, but for node 7, and a kind."""
    (tmp_path / "graph.csv").write_text("\n".join(f"{u},{v}" for u, v in EDGES))

    def read(ages, split):
        rows = [f"{n},{'' if n == 7 else ages[n]},{'ab'[n % 2]}" for n in np.argsort(ages * 7 % 13)]
        (tmp_path / "nodes.csv").write_text("\n".join(["id,age,kind", *rows]))
        return edge_file(
            path=str(tmp_path / "graph.csv"), features=None, nodes=str(tmp_path / "nodes.csv"),
            cache=str(tmp_path / "cache"), split=split,
        )  # fmt: skip

    return read


def test_values_of_new_nodes_change_no_other_node(read):
    ages = np.arange(NODES) % 17 + 20
    first = read(ages, NEW)
    new = first.new_nodes
    assert len(new) > 3
    there = torch.ones(NODES, dtype=torch.bool)
    there[new] = there[7] = False
    assert first.features[there, 0].mean().abs() < 1e-6
    assert (first.features[there, 0].std(correction=0) - 1).abs() < 1e-6
    assert first.features[7, 0] == 0
    ages[new] = 5000
    second = read(ages, NEW)
    assert torch.allclose(first.features[there], second.features[there], atol=1e-5)
    assert second.features[new, 0].min() > 100
    assert first.features_fingerprint != second.features_fingerprint


def test_the_fingerprint_of_features_is_that_of_the_file_for_every_split(read):
    ages = np.arange(NODES) % 17 + 20
    random, new = read(ages, RANDOM), read(ages, NEW)
    assert not torch.equal(random.features, new.features)
    assert random.features_fingerprint == new.features_fingerprint
    assert random.features[7, 0] == 0 and random.features.isfinite().all()
