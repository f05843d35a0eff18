from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges

from runner.ops import backend
from runner.ops.csr import Graph
from runner.ops.walks import count_short_walks, short_walks


def dense(seed):
    edges = random_edges(seed)
    return Graph.from_edges(torch.from_numpy(edges), NUM_NODES), adjacency(edges, NUM_NODES)


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_the_matrix_and_of_its_square(seed):
    graph, a = dense(seed)
    starts = torch.tensor([5, 0, NUM_NODES - 1, 5, 3])
    found = short_walks(graph, starts)
    np.testing.assert_array_equal(found.to_dense().numpy(), (2 * a @ a + a)[starts])
    ascending = [found.col[slice(*found.rowptr[i : i + 2].tolist())].diff() for i in range(5)]
    assert all(bool((steps > 0).all()) for steps in ascending)
    np.testing.assert_array_equal(count_short_walks(graph).numpy(), (a @ a + a).sum(1))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("num_nodes", [300, 40_000])
def test_both_forms_give_the_same(num_nodes):
    """Where many of all nodes are reached, and where few are."""
    graph = Graph.from_edges(torch.randint(num_nodes, (2, 4 * num_nodes)), num_nodes)
    starts = torch.randperm(num_nodes)[:300]
    compiled = short_walks(graph, starts)
    with backend.plain():
        plain = short_walks(graph, starts)
    for name in ("rowptr", "col", "value"):
        assert torch.equal(getattr(compiled, name), getattr(plain, name)), name


def test_no_start_and_no_entry():
    graph = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), 3)
    for starts in (torch.arange(0), torch.arange(3)):
        found = short_walks(graph, starts)
        assert found.rowptr.tolist() == [0] * (len(starts) + 1) and not found.col.numel()
    with pytest.raises(ValueError, match="starts holds ids"):
        short_walks(graph, torch.tensor([3]))
