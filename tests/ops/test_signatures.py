from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges, some_pairs

from runner.ops import two_hop
from runner.ops.csr import Graph
from runner.ops.signatures import inner_products, propagate_signatures, random_signs
from runner.ops.two_hop import second_neighbours


@pytest.fixture(params=range(2))
def case(request):
    edges = random_edges(request.param)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    return graph, adjacency(edges, NUM_NODES), torch.from_numpy(some_pairs(edges))


def dense_second(a):
    """The pattern of A² without those of A and I."""
    return ((a @ a > 0) & (a == 0) & ~np.eye(len(a), dtype=bool)).astype(float)


def dense_products(x, a, pairs):
    p, q, r = a @ x, a @ a @ x, dense_second(a) @ x
    around = q - a.sum(1, keepdims=True) * x
    return np.array(
        [
            [
                p[u] @ p[v], p[u] @ q[v], q[u] @ p[v], around[u] @ around[v], p[u] @ q[u],
                p[v] @ q[v], p[u] @ r[v], r[u] @ p[v], r[u] @ r[v],
            ]
            for u, v in pairs.T
        ]
    )  # fmt: skip


def test_second_neighbours(case, form):
    graph, dense, _ = case
    found = second_neighbours(graph, torch.ones(NUM_NODES, dtype=torch.bool))
    some = torch.arange(NUM_NODES) % 3 == 0
    few = second_neighbours(graph, some)
    for lists, wanted in ((found, ~some | some), (few, some)):
        expected = dense_second(dense) * wanted.numpy()[:, None]
        matrix = np.zeros_like(dense)
        row = torch.repeat_interleave(torch.arange(NUM_NODES), lists.degree())
        matrix[row, lists.col] += 1
        assert np.array_equal(matrix, expected)


def test_second_neighbours_in_blocks(case, monkeypatch):
    from runner.ops import backend

    graph, *_ = case
    everyone = torch.ones(NUM_NODES, dtype=torch.bool)
    with backend.plain():
        whole = second_neighbours(graph, everyone)
        monkeypatch.setattr(two_hop, "_MOST_WALKS", 40)
        blocks = second_neighbours(graph, everyone)
    assert torch.equal(whole.col, blocks.col) and torch.equal(whole.rowptr, blocks.rowptr)


@pytest.mark.parametrize("whole", [True, False])
def test_products_against_dense_matrices(case, form, whole):
    graph, dense, pairs = case
    x = torch.randint(-1, 2, (NUM_NODES, 10), generator=torch.manual_seed(0)).to(torch.int8)
    if not whole:
        x = x * torch.linspace(0.5, 2, NUM_NODES, dtype=torch.float64).unsqueeze(1)
    second = second_neighbours(graph, torch.ones(NUM_NODES, dtype=torch.bool))
    found = inner_products(propagate_signatures(x, graph, lists=second), pairs, graph.degree())
    alone = inner_products(propagate_signatures(x, graph, twice=False), pairs, graph.degree())
    expected = dense_products(x.double().numpy(), dense, pairs.numpy())
    if whole:  # integers: no rounding
        assert np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(alone[:, 0], found[:, 0]) and not alone[:, 1:].any()


def test_sums_of_a_hub_fit(form):
    """More neighbours than int16 holds."""
    count = 33_000
    spokes = torch.stack([torch.zeros(count, dtype=torch.int64), torch.arange(1, count + 1)])
    graph = Graph.from_edges(spokes)
    x = torch.ones(count + 1, 1, dtype=torch.int8)
    found = inner_products(
        propagate_signatures(x, graph), torch.tensor([[0, 1], [0, 2]]), graph.degree()
    )
    assert found[0, 0] == count**2 and found[1, 3] == (count - 1) ** 2
    assert found[0, 4] == count**2


def test_gradient(case):
    graph, _, pairs = case
    x = torch.randn(NUM_NODES, 4, dtype=torch.float64, generator=torch.manual_seed(0))
    second = second_neighbours(graph, torch.ones(NUM_NODES, dtype=torch.bool))

    def products(x):
        return inner_products(propagate_signatures(x, graph, lists=second), pairs, graph.degree())

    assert torch.autograd.gradcheck(products, x.requires_grad_(), fast_mode=True)


def test_signs(form):
    nodes = torch.tensor([3, 0, 2**40])
    found = random_signs(7, nodes, 0, 200)
    assert torch.equal(random_signs(7, nodes[1:], 128, 72), found[1:, 128:])
    assert not torch.equal(random_signs(8, nodes, 0, 200), found)
    assert found.dtype == torch.int8 and set(found.flatten().tolist()) == {-1, 1}


def test_signs_are_the_same_in_both_forms_and_random():
    from runner.ops import backend

    nodes = torch.arange(400)
    found = random_signs(1, nodes, 64, 512)
    with backend.plain():
        assert torch.equal(random_signs(1, nodes, 64, 512), found)
    signs = found.double()
    # Inner products of different rows, and of different columns: 0 ± root of their length.
    for matrix in (signs, signs.T):
        gram = matrix @ matrix.T / matrix.size(1) ** 0.5
        others = gram[~torch.eye(len(gram), dtype=torch.bool)]
        assert abs(float(others.mean())) < 0.02 and abs(float(others.std()) - 1) < 0.02


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_bit(case, threads):
    graph, _, pairs = case
    x = torch.randn(NUM_NODES, 4096, generator=torch.manual_seed(0))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = inner_products(propagate_signatures(x, graph), pairs, graph.degree())
        torch.set_num_threads(3 - threads)
        other = inner_products(propagate_signatures(x, graph), pairs, graph.degree())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found, other)
