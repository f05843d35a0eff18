"""TC and ATC against hand-made figures, networkx, and the published release's outputs."""

from __future__ import annotations

import os
from pathlib import Path

import networkx
import numpy as np
import pytest
import torch

from runner.audits import topology
from runner.audits.topology import (
    approximate_concentration,
    concentration,
    weighted_concentration,
)
from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.ops.message_weights import MessageWeights

PAW = [(0, 1), (1, 2), (0, 2), (2, 3)]


def graph(edges, num_nodes=4):
    return Graph.from_edges(torch.tensor(edges, dtype=torch.int64).view(-1, 2).t(), num_nodes)


@pytest.mark.parametrize(
    ("edges", "hops", "expected"),
    [
        (PAW, 1, [1, 1, 1 / 3, 0]),
        (PAW, 2, [39 / 46, 39 / 46, 20 / 29, 0]),
        ([(0, 1), (1, 2), (2, 3), (3, 0)], 1, [0] * 4),
        ([(0, 1), (1, 2), (2, 3), (3, 0)], 2, [3 / 5] * 4),
        ([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], 1, [1] * 4),
        ([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], 2, [19 / 21] * 4),
        ([(0, 1), (0, 2), (0, 3)], 1, [0] * 4),
        ([(0, 1), (0, 2), (0, 3)], 2, [6 / 11, 0, 0, 0]),
    ],
)
def test_training_links_by_hand(edges, hops, expected):
    assert concentration(graph(edges), hops=hops).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("hops", "expected"), [(1, [0, 1 / 2, 0, 1]), (2, [0, 4 / 9, 0, 11 / 15])])
def test_other_links_by_hand(hops, expected):
    found = concentration(graph(PAW), graph([(1, 3)]), hops=hops)
    assert found.tolist() == pytest.approx(expected)


def test_weighted_neighbours_by_hand():
    paw = graph(PAW, 5)
    found = weighted_concentration(paw, MessageWeights.symmetric(paw).entries)
    assert found.tolist() == pytest.approx([0.5, 0.5, 0.206735, 0, 0], abs=1e-6)
    degree = paw.degree()
    equal = weighted_concentration(paw, torch.ones(paw.num_entries))
    expected = concentration(paw) * (degree - 1) / degree.clamp(min=1)
    assert equal.tolist() == pytest.approx(expected.tolist())


def test_isolated_nodes_have_none():
    training = graph(PAW, 6)
    for hops in (1, 2):
        assert concentration(training, graph([(4, 5), (4, 0)], 6), hops=hops)[4:].tolist() == [0, 0]
    assert approximate_concentration(training, graph([(1, 3)], 6))[4:].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("kernel", "hops", "expected"),
    [
        ("cosine", 1, [0.933013, 0.933013, 0.813053, 0.707107]),
        ("cosine", 2, [0.962608, 0.962608, 0.889687, 0.818629]),
        ("dot", 1, [0.291667, 0.291667, 0.25, 0.25]),
    ],
)
def test_the_limit_of_wide_projections_by_hand(kernel, hops, expected):
    found = approximate_concentration(graph(PAW), hops=hops, kernel=kernel)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_training_links_have_the_clustering_coefficient(seed):
    other = networkx.gnp_random_graph(60, 0.15, seed=seed)
    expected = list(networkx.clustering(other).values())
    assert concentration(Graph.from_networkx(other)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kernel", ["cosine", "dot"])
def test_one_hop_by_counts_and_by_rows_agree(kernel):
    """A projection by the identity changes nothing."""
    generator = torch.Generator().manual_seed(0)
    training, links = (
        Graph.from_edges(torch.randint(40, (2, 120), generator=generator), 40) for _ in range(2)
    )
    for sought in (None, links):
        counted = approximate_concentration(training, sought, kernel=kernel)
        projected = approximate_concentration(
            training, sought, kernel=kernel, projection=np.eye(40)
        )
        assert counted.tolist() == pytest.approx(projected.tolist())


def test_more_hops_are_refused_where_there_are_too_many_walks(monkeypatch):
    monkeypatch.setattr(topology, "_MOST_WORK", 20)
    with pytest.raises(RunnerError, match=r"hops=2: .* more than 20; take hops=1"):
        concentration(graph(PAW), hops=2)
    assert concentration(graph(PAW))[0] == 1


@pytest.fixture(scope="module")
def release():
    if not os.environ.get("RUNNER_REFERENCE"):
        pytest.skip("RUNNER_REFERENCE, the folder of the releases' outputs, is not set")
    with np.load(Path(os.environ["RUNNER_REFERENCE"]) / "tc_release.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("form", ["tc1", "tc2", *(f"atc{k}_{f}" for k in (1, 2, 3) for f in ("cosine", "dot"))])  # fmt: skip  # noqa: E501
def test_the_release_has_the_same_figures(release, form, part):
    training, links = (
        graph(release[f"split0/{name}"].T.astype(np.int64), 332) for name in ("train", part)
    )
    sought, hops = None if part == "train" else links, int(form.split("_")[0][-1])
    if form.startswith("tc"):
        found, tolerance = concentration(training, sought, hops=hops), 1e-12
    else:
        found, tolerance = (
            approximate_concentration(
                training,
                sought,
                hops=hops,
                kernel=form.split("_")[1],
                projection=release["split0/projection"],
            ),
            1e-7,
        )
    assert np.abs(found.numpy() - release[f"split0.{form}/{part}"]).max() < tolerance
