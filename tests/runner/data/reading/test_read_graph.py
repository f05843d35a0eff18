import pytest
import torch

from runner.data.reading import read_graph
from runner.ops.csr import Graph


@pytest.mark.parametrize("nodes, rows, block", [(50, 400, 7), (3, 40, 1), (1000, 100, 64)])
def test_repeats_are_counted_across_blocks(nodes, rows, block, monkeypatch):
    monkeypatch.setattr(read_graph, "_BLOCK", block)
    edges = torch.randint(nodes, (2, rows), generator=torch.Generator().manual_seed(0))
    wanted = {(u, v) for u, v in edges.T.tolist() if u != v}
    assert read_graph._distinct(edges, Graph.from_edges(edges, nodes)) == len(wanted)
