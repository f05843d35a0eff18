from __future__ import annotations

import math

import networkx
import numpy as np
import pytest
import torch

from runner.ops.csr import Graph
from runner.ops.shortest_path import path_length


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("links", [25, 45, 90])
def test_against_networkx(seed, links, form):
    edges = np.random.default_rng(seed).integers(0, 40, (2, links))
    graph = Graph.from_edges(torch.from_numpy(edges), 41)
    peer = networkx.Graph(edges.T.tolist())
    peer.add_nodes_from(range(41))
    lengths = dict(networkx.all_pairs_shortest_path_length(peer))
    for source in range(0, 41, 4):
        for target in range(41):
            assert path_length(graph, source, target) == lengths[source].get(target, math.inf)


def test_a_long_path():
    path = torch.stack([torch.arange(200), torch.arange(1, 201)])
    assert path_length(Graph.from_edges(path, 201), 0, 200) == 200
